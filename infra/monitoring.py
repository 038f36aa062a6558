"""The part of the template that watches the rest: alarms and the CloudWatch dashboard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from chalicelib import observability
from infra.alarms import alarms
from infra.metrics import (
    FUNCTIONS,
    INDEXES,
    STACK,
    TABLES,
    Metric,
    of_api,
    of_function,
    of_index,
    of_queue,
    of_service,
    of_table,
)

_QUEUES = ("send", "dispatch", "send-dead", "dispatch-dead", "receipts", "receipts-dead")
_COLUMNS, _WIDTH, _HEIGHT = 24, 8, 6  # of a dashboard, and of each of its graphs


def graphs() -> list[tuple[str, list[Metric]]]:
    """The graphs of the dashboard, each with a title, three in a row."""
    return [
        *_graphs_of_service(),
        ("Messages in queues", [of_queue(name, "ApproximateNumberOfMessagesVisible") for name in _QUEUES]),
        ("Age of the oldest message, seconds", [of_queue(name, "ApproximateAgeOfOldestMessage") for name in _QUEUES]),
        ("Functions: errors", [of_function(name, "Errors") for name in FUNCTIONS]),
        ("Functions: throttles", [of_function(name, "Throttles") for name in FUNCTIONS]),
        (
            "Functions: concurrent executions",
            [of_function(name, "ConcurrentExecutions", "Maximum") for name in FUNCTIONS],
        ),
        ("Functions: milliseconds, p95", [of_function(name, "Duration", "p95") for name in FUNCTIONS]),
        ("API: requests", [of_api(name) for name in ("Count", "4XXError", "5XXError")]),
        ("API: milliseconds", [of_api("Latency", statistic) for statistic in ("p50", "p95", "p99")]),
        (
            "Tables and indexes: throttled writes",
            [
                *(of_table(name, "WriteThrottleEvents") for name in TABLES),
                *(of_index(table, index, "WriteThrottleEvents") for table, index in INDEXES),
            ],
        ),
    ]


def _graphs_of_service() -> list[tuple[str, list[Metric]]]:
    """Graphs of the metrics that the functions emit themselves."""
    percentiles = ("p50", "p95", "p99")
    ends = (
        observability.MESSAGES_SENT,
        observability.MESSAGES_FAILED,
        observability.MESSAGES_UNKNOWN,
        observability.MESSAGES_EXPIRED,
        observability.MESSAGES_CANCELLED,
        observability.MESSAGES_SKIPPED,
    )
    mailings = (
        of_service(observability.MAILINGS_CREATED),
        of_service(observability.MAILINGS_UNDER_WAY, "Maximum"),
        of_service(observability.MAILINGS_STALLED, "Maximum"),
        of_service(observability.MAILINGS_UNCHECKED, "Maximum"),
        of_service(observability.REPORTS_SENT),
    )
    flow = [of_service(metric) for metric in (observability.MESSAGES_CREATED, observability.MESSAGES_DISPATCHED)]
    parked = observability.MESSAGES_PARKED
    errors = observability.API_ERRORS
    gateway = [
        of_service(observability.GATEWAY_LATENCY, "SampleCount", "calls"),
        of_service(observability.GATEWAY_FAILURES),
        of_service(observability.GATEWAY_REFUSED),
        of_service(observability.GATEWAY_THROTTLED),
        of_service(observability.GATEWAY_BLOCKED),
        of_service(observability.LEDGER_BUSY),
        of_service(observability.CIRCUIT_STATE, "Maximum"),
    ]
    lag = [of_service(observability.DELIVERY_LAG, one, one) for one in percentiles]
    dropped = observability.RECEIPTS_DROPPED
    receipts = (
        observability.RECEIPTS_RECEIVED,
        observability.MESSAGES_DELIVERED,
        observability.MESSAGES_UNDELIVERED,
        observability.REPLIES_RECEIVED,
    )
    delays = (observability.START_LATENESS, observability.DISPATCH_LAG, observability.CHECK_ROUND)
    late = [of_service(metric, "Maximum") for metric in delays]
    return [
        ("Mailings", list(mailings)),
        ("Messages: dispatched", [*flow, of_service(observability.BATCH_SIZE, "Average", "batch size, average")]),
        ("Messages: how they ended", [of_service(metric) for metric in ends]),
        ("Messages: parked, by reason", [of_service(parked, of=reason) for reason in parked.values]),
        ("Gateway: calls, failures, circuit", gateway),
        ("Gateway: milliseconds", [of_service(observability.GATEWAY_LATENCY, one, one) for one in percentiles]),
        ("Receipts, replies", [of_service(metric) for metric in receipts]),
        ("Receipts: dropped, by reason", [of_service(dropped, of=reason) for reason in dropped.values]),
        ("Receipts: milliseconds to the phone", lag),
        ("Largest delay, milliseconds", late),
        ("API: milliseconds in the function, p95", [of_service(observability.API_LATENCY, "p95")]),
        ("API: errors", [of_service(errors, of=status) for status in errors.values]),
    ]


def monitoring() -> dict[str, Any]:
    """The part of the template that watches the rest."""
    resources = {alarm.logical_name: alarm.resource() for alarm in alarms()}
    body = json.dumps({"widgets": _widgets(list(resources))})
    resources["Dashboard"] = {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {"DashboardName": {"Fn::Sub": STACK}, "DashboardBody": {"Fn::Sub": body}},
    }
    return {
        "Parameters": {
            "AlarmTopic": {
                "Type": "String",
                "Default": "",
                "AllowedPattern": "|arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+",
                "Description": "The SNS topic to notify of alarms; without one they are only shown",
            }
        },
        "Conditions": {"HasAlarmTopic": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopic"}, ""]}]}},
        "Resources": resources,
    }


def _widgets(alarm_names: Sequence[str]) -> list[dict[str, Any]]:
    """The state of all alarms, and below it the graphs."""
    states = {"title": "Alarms", "alarms": [f"${{{name}.Arn}}" for name in alarm_names]}
    widgets: list[dict[str, Any]] = [
        {"type": "alarm", "x": 0, "y": 0, "width": _COLUMNS, "height": 3, "properties": states}
    ]
    in_a_row = _COLUMNS // _WIDTH
    for place, (title, metrics) in enumerate(graphs()):
        properties = {
            "title": title,
            "region": "${AWS::Region}",
            "view": "timeSeries",
            "period": 60,
            "metrics": [metric.line() for metric in metrics],
        }
        row, column = divmod(place, in_a_row)
        at = {"x": column * _WIDTH, "y": 3 + row * _HEIGHT, "width": _WIDTH, "height": _HEIGHT}
        widgets.append({"type": "metric", **at, "properties": properties})
    return widgets
