"""Corrects LocalEmu 1.3.2's IAM enforcement for DynamoDB: which permissions a call needs, on which resources.

Its ARN builder looks for TableName at the top only, so it requires `table/*` if a call names its tables deeper
(batches, transactions, PartiQL), and the table if an index is read. What AWS requires is in its Service Authorization
Reference.
"""

from __future__ import annotations

import importlib
import re
from typing import Any

_TRANSACTED = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
_PARTIQL = re.compile(
    r"\s*(?:SELECT\b.*?\bFROM|INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:\"([^\"]+)\"|([\w-]+))(?:\.\"([^\"]+)\")?",
    re.I | re.S,
)
_VERBS = {"SELECT": "PartiQLSelect", "INSERT": "PartiQLInsert", "UPDATE": "PartiQLUpdate", "DELETE": "PartiQLDelete"}
Pair = tuple[str, str]  # an action and a resource


class Resource(str):
    """A resource as the enforcer knows it, with all pairs that are really needed."""

    pairs: tuple[Pair, ...] = ()


def needed(operation: str, params: dict[str, Any], region: str, account: str) -> list[Pair]:
    """What a call of DynamoDB needs; empty if LocalEmu itself is right."""

    def arn(table: str, index: str | None = None) -> str:
        if table.startswith("arn:"):
            return table
        return f"arn:aws:dynamodb:{region}:{account}:table/{table}" + (f"/index/{index}" if index else "")

    def partiql(text: str) -> Pair:
        found = _PARTIQL.match(text)
        if found is None:
            raise ValueError(f"no statement of PartiQL: {text[:80]}")
        return f"dynamodb:{_VERBS[text.split(None, 1)[0].upper()]}", arn(found[1] or found[2], found[3])

    if "RequestItems" in params:
        return [(f"dynamodb:{operation}", arn(table)) for table in params["RequestItems"]]
    if "TransactItems" in params:
        items = [pair for item in params["TransactItems"] for pair in item.items() if pair[1]]
        return [(f"dynamodb:{_TRANSACTED[kind]}", arn(one["TableName"])) for kind, one in items]
    if operation in ("BatchExecuteStatement", "ExecuteTransaction"):
        return [partiql(one["Statement"]) for one in params.get("Statements") or params["TransactStatements"]]
    if operation == "ExecuteStatement":
        return [partiql(params["Statement"])]
    if "TableName" in params:
        return [(f"dynamodb:{operation}", arn(params["TableName"], params.get("IndexName")))]
    return []


def install() -> None:
    """Let the enforcer require these."""
    enforcer: Any = importlib.import_module("localemu.services.iam_enforcement.enforcer")
    allow = importlib.import_module("localemu.services.iam_enforcement.evaluator").Decision.ALLOW
    build, evaluate = enforcer.build_resource_arn, enforcer.PolicyEvaluator.evaluate

    def build_resource_arn(service: str, operation: str, request_params: Any, region: str, account_id: str) -> Resource:
        resource = Resource(build(service, operation, request_params, region, account_id))
        if service == "dynamodb":
            resource.pairs = tuple(needed(operation, request_params or {}, region, account_id))
        return resource

    def evaluate_all(self: Any, caller: Any, action: str, resource: str, **more: Any) -> Any:
        for one, where in getattr(resource, "pairs", ()) or [(action, resource)]:
            decision = evaluate(self, caller=caller, action=one, resource=where, **more)
            if decision != allow:
                enforcer.LOG.warning("IAM DENY %s %s to %s", one, where, caller.arn)
                return decision
        return allow

    enforcer.build_resource_arn = build_resource_arn
    enforcer.PolicyEvaluator.evaluate = evaluate_all
