"""The template for an emulator, without the parts that it cannot read."""

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
# LocalStack gives a function the same path as AWS, although its API has this prefix before the stage.
LOCALSTACK = {"API_ADDRESS_PREFIX": "/_aws/execute-api"}


def for_emulator(template: dict[str, Any], values: Mapping[str, str], *, localstack: bool) -> dict[str, Any]:
    """The template with these values of its parameters, for LocalStack or else for MiniStack.

    It has no CodeDeploy, and for LocalStack no alias. Limits of event sources must be numbers there, and what an option
    leaves out (a domain, WAF, a VPC) is removed.
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
    """The template without resources that MiniStack refuses: queries and alarms, which are of no use there."""
    known, unknown = {}, {}
    for name, one in template["Resources"].items():
        metric_math = one.get("Type") == _ALARM and "Metrics" in one["Properties"]
        if one.get("Type") == saved_queries.TYPE or metric_math:
            unknown[name] = {"Ref": name, "Arn": name}
        else:
            known[name] = one
    left: dict[str, Any] = by_name({**template, "Resources": known}, unknown)
    return left
