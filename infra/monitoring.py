"""Alarms and the CloudWatch dashboard of the template, from metrics of AWS's own and those that the functions emit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

STACK = "${AWS::StackName}"
_FUNCTIONS = ("api", "authorizer", "tick", "report", "dispatcher", "sender")
_QUEUES = ("send", "dispatch", "send-dead", "dispatch-dead")
_TABLES = ("clients", "mailings", "messages", "users", "settings")
_COLUMNS, _WIDTH, _HEIGHT = 24, 8, 6  # of a dashboard, and of each of its graphs


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of CloudWatch and how it is summed up; `label` is its name in a graph."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    label: str = ""

    def line(self) -> list[Any]:
        """The metric as a graph has it."""
        names = [part for dimension in self.dimensions for part in dimension]
        return [self.namespace, self.name, *names, {"stat": self.statistic, "label": self.label or self.name}]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Rings when a metric passes a threshold in a period of so many seconds; no data is no alarm unless it says so."""

    title: str
    about: str
    metric: Metric
    threshold: float
    period: int = 300
    comparison: str = "GreaterThanThreshold"
    missing: str = "notBreaching"

    @property
    def logical_name(self) -> str:
        return "".join(word.capitalize() for word in self.title.split("-")) + "Alarm"

    def resource(self) -> dict[str, Any]:
        """The alarm as CloudFormation has it."""
        told = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
        kind = "ExtendedStatistic" if self.metric.statistic.startswith("p") else "Statistic"
        return {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": {"Fn::Sub": f"{STACK}-{self.title}"},
                "AlarmDescription": self.about,
                "Namespace": self.metric.namespace,
                "MetricName": self.metric.name,
                "Dimensions": [{"Name": name, "Value": {"Fn::Sub": value}} for name, value in self.metric.dimensions],
                kind: self.metric.statistic,
                "Period": self.period,
                "EvaluationPeriods": 1,
                "ComparisonOperator": self.comparison,
                "Threshold": self.threshold,
                "TreatMissingData": self.missing,
                "AlarmActions": told,
                "OKActions": told,
            },
        }


def of_queue(queue: str, name: str, statistic: str = "Maximum") -> Metric:
    return Metric("AWS/SQS", name, (("QueueName", f"{STACK}-{queue}"),), statistic, queue)


def of_function(function: str, name: str, statistic: str = "Sum") -> Metric:
    return Metric("AWS/Lambda", name, (("FunctionName", f"{STACK}-{function}"),), statistic, function)


def of_table(table: str, name: str) -> Metric:
    return Metric("AWS/DynamoDB", name, (("TableName", f"{STACK}-{table}"),), "Sum", table)


def of_api(name: str, statistic: str = "Sum") -> Metric:
    return Metric("AWS/ApiGateway", name, (("ApiName", STACK), ("Stage", "service")), statistic, name)


def alarms() -> list[Alarm]:
    """What a person should be told of."""
    waiting, age = "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"
    return [
        Alarm("send-dead-letters", "Messages were given up: /api/dead-letters/", of_queue("send-dead", waiting), 0),
        Alarm("dispatch-dead-letters", "Units of work were given up", of_queue("dispatch-dead", waiting), 0),
        # A hint is taken within seconds: what cannot be sent now waits in the ledger.
        Alarm("send-queue-age", "The oldest hint is ten minutes old: senders do not work", of_queue("send", age), 600),
        # A unit that was cut off is seen again after the queue's visibility of twelve minutes.
        Alarm("dispatch-queue-age", "The oldest unit is half an hour old", of_queue("dispatch", age), 1800),
        *(Alarm(f"{name}-errors", f"The function {name} fails", of_function(name, "Errors"), 0) for name in _FUNCTIONS),
        *(
            Alarm(f"{name}-throttles", f"The function {name} wants concurrency", of_function(name, "Throttles"), 0)
            for name in _FUNCTIONS
        ),
        Alarm(
            "tick-stopped",
            "The tick has not run for five minutes: nothing is launched or resumed",
            of_function("tick", "Invocations"),
            1,
            comparison="LessThanThreshold",
            missing="breaching",
        ),
        Alarm("api-server-errors", "The API answers with 5xx", of_api("5XXError"), 0),
        # A table that grows with a mailing throttles for seconds, and retries hide it.
        *(
            Alarm(f"{name}-throttles", f"Writes of {name} are throttled", of_table(name, "WriteThrottleEvents"), 1000)
            for name in _TABLES
        ),
    ]


def graphs() -> list[tuple[str, list[Metric]]]:
    """What the dashboard shows, with a title each, three in a row."""
    return [
        ("Messages in queues", [of_queue(name, "ApproximateNumberOfMessagesVisible") for name in _QUEUES]),
        ("Age of the oldest message, seconds", [of_queue(name, "ApproximateAgeOfOldestMessage") for name in _QUEUES]),
        ("Functions: errors", [of_function(name, "Errors") for name in _FUNCTIONS]),
        ("Functions: throttles", [of_function(name, "Throttles") for name in _FUNCTIONS]),
        ("Functions: at once", [of_function(name, "ConcurrentExecutions", "Maximum") for name in _FUNCTIONS]),
        ("Functions: milliseconds, p95", [of_function(name, "Duration", "p95") for name in _FUNCTIONS]),
        ("API: requests", [of_api(name) for name in ("Count", "4XXError", "5XXError")]),
        ("API: milliseconds", [of_api("Latency", statistic) for statistic in ("p50", "p95", "p99")]),
        ("Tables: throttled writes", [of_table(name, "WriteThrottleEvents") for name in _TABLES]),
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
                "Description": "The SNS topic that is told of alarms; without one they are only shown",
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
