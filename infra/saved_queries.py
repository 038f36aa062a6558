"""Queries of CloudWatch Logs Insights that the stack saves: the `make history` of the AWS console."""

from __future__ import annotations

from typing import Any

from infra.metrics import FUNCTIONS, STACK

TYPE = "AWS::Logs::QueryDefinition"
# The keys of the service's records; other keys of a record are in @message.
_FIELDS = "message, function, route, method, status, duration_ms, username"
_FIELDS += ", mailing_id, message_id, client_id, request_id"
_HISTORY = f"""fields @timestamp, {_FIELDS}, @message
| filter @message like "{{{{id}}}}"
| sort @timestamp asc
| limit 10000"""
_TROUBLE = f"""fields @timestamp, level, {_FIELDS}, @message
| filter level in ["WARNING", "ERROR", "CRITICAL"]
| sort @timestamp desc
| limit 1000"""


def saved_queries() -> dict[str, Any]:
    """The part of the template with the queries, each over the logs of all functions."""
    parameter = {"Name": "id", "Description": "The id of a mailing, a message, a client or a request"}
    return {
        "Resources": {
            "HistoryQuery": _query("history", _HISTORY, [parameter]),
            "TroubleQuery": _query("trouble", _TROUBLE, []),
        }
    }


def _query(name: str, text: str, parameters: list[dict[str, str]]) -> dict[str, Any]:
    groups = [{"Fn::Sub": f"/aws/lambda/{STACK}-{function}"} for function in FUNCTIONS]
    properties = {"Name": {"Fn::Sub": f"{STACK}/{name}"}, "LogGroupNames": groups, "QueryString": text}
    return {"Type": TYPE, "Properties": properties | ({"Parameters": parameters} if parameters else {})}
