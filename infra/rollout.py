"""How the API switches to a new version: by an alias, which CodeDeploy moves gradually as long as no alarm rings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from infra.resolved import resolved

FUNCTION, ALIAS = "APIHandler", "live"
AT_ONCE = "AllAtOnce"
_HOW = "DeploymentPreference"
# What Lambda does not count as part of a version, or what is about publishing one.
_NO_PART = ("Tags", "Events", "AutoPublishAlias", "AutoPublishCodeSha256", "VersionDeletionPolicy", _HOW)


def with_version(template: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The template with a new version of the API's function if anything about the function differs.

    SAM itself only compares code, so a changed parameter would not reach the alias.
    """
    function = resolved(template, values, texts=True)["Resources"][FUNCTION]["Properties"]
    counts = {name: value for name, value in function.items() if name not in _NO_PART}
    digest = hashlib.sha256(json.dumps(counts, sort_keys=True).encode()).hexdigest()
    if "AutoPublishAlias" in function:
        template["Resources"][FUNCTION]["Properties"]["AutoPublishCodeSha256"] = digest
    return at_once(template) if values["ApiRollout"] == AT_ONCE else template


def without_alias(template: dict[str, Any]) -> dict[str, Any]:
    """The template in which API Gateway calls the function itself."""
    direct: dict[str, Any] = json.loads(json.dumps(template).replace(f":{ALIAS}/invocations", "/invocations"))
    properties = at_once(direct)["Resources"][FUNCTION]["Properties"]
    for name in ("AutoPublishAlias", "VersionDeletionPolicy"):
        properties.pop(name, None)
    direct["Resources"]["RestAPI"].pop("DependsOn", None)
    direct["Resources"]["APIHandlerInvokePermission"]["Properties"]["FunctionName"] = {"Ref": FUNCTION}
    return direct


def at_once(template: dict[str, Any]) -> dict[str, Any]:
    """The template without CodeDeploy, so that the alias switches at once, whatever alarms say."""
    template["Resources"][FUNCTION]["Properties"].pop(_HOW, None)
    template["Resources"].pop("RolloutRole", None)
    return template
