"""What an emulator gets in the template's place: the same, without what it cannot read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra import saved_queries
from infra.resolved import resolved
from infra.retained import by_name
from infra.rollout import at_once, without_alias

_FUNCTION = "AWS::Serverless::Function"
_ALARM = "AWS::CloudWatch::Alarm"
EMULATED = {"GATEWAY_LOCAL": "true"}  # a gateway of this machine may be called
# LocalStack tells a function the path that AWS would, while its API has this before the stage.
LOCALSTACK = {"API_ADDRESS_PREFIX": "/_aws/execute-api"}


def for_emulator(template: dict[str, Any], values: Mapping[str, str], *, localstack: bool) -> dict[str, Any]:
    """The template with these values of its parameters, for LocalStack or else for MiniStack.

    It has no CodeDeploy, and LocalStack no alias. A bound of an event source must be a number there, and what an option
    leaves out (a domain, WAF, a VPC) is not in it.
    """
    # A gateway of this machine speaks no TLS.
    template["Parameters"]["GatewayUrl"].pop("AllowedPattern", None)
    template = at_once(without_unknown(resolved(template, values)))
    if localstack:  # its CloudFormation cannot change an alias: it makes it once more, and fails
        template = without_alias(template)
    for one in template["Resources"].values():
        if one["Type"] == _FUNCTION:
            variables = one["Properties"]["Environment"]["Variables"]
            more = EMULATED | (LOCALSTACK if localstack else {})
            one["Properties"]["Environment"]["Variables"] = more | variables
            if localstack:  # which never removes an event source that is switched off: the next stack meets it
                for event in one["Properties"].get("Events", {}).values():
                    event["Properties"].pop("Enabled", None)
    return template


def without_unknown(template: dict[str, Any]) -> dict[str, Any]:
    """What MiniStack refuses a stack for, left out: an emulator has nothing to query, and nobody to alarm."""
    known, unknown = {}, {}
    for name, one in template["Resources"].items():
        metric_math = one.get("Type") == _ALARM and "Metrics" in one["Properties"]
        if one.get("Type") == saved_queries.TYPE or metric_math:
            unknown[name] = {"Ref": name, "Arn": name}
        else:
            known[name] = one
    left: dict[str, Any] = by_name({**template, "Resources": known}, unknown)
    return left
