"""Alarms and the CloudWatch dashboard of the template, from metrics of AWS's own and those that the functions emit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib import observability

STACK = "${AWS::StackName}"
FUNCTIONS = ("api", "tick", "report", "dispatcher", "sender")
_QUEUES = ("send", "dispatch", "send-dead", "dispatch-dead")
TABLES = ("clients", "mailings", "ledger", "users", "settings")
_COLUMNS, _WIDTH, _HEIGHT = 24, 8, 6  # of a dashboard, and of each of its graphs


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of CloudWatch and how it is summed up; `label` is its name in a graph."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    label: str = ""

    def properties(self) -> dict[str, Any]:
        """What names the metric in CloudFormation."""
        dimensions = [{"Name": name, "Value": {"Fn::Sub": value}} for name, value in self.dimensions]
        return {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": dimensions}

    def line(self) -> list[Any]:
        """The metric as a graph has it."""
        names = [part for dimension in self.dimensions for part in dimension]
        return [self.namespace, self.name, *names, {"stat": self.statistic, "label": self.label or self.name}]


@dataclass(frozen=True, slots=True)
class Alarm:
    """Rings when a metric passes a threshold in a period of so many seconds; no data is no alarm unless it says so.

    With `share_of` the threshold is for the metric's percentage of that other one, if that is more than `at_least`.
    """

    title: str
    about: str
    metric: Metric
    threshold: float
    period: int = 300
    comparison: str = "GreaterThanThreshold"
    missing: str = "notBreaching"
    share_of: Metric | None = None
    at_least: int = 0

    @property
    def logical_name(self) -> str:
        return "".join(word.capitalize() for word in self.title.split("-")) + "Alarm"

    def resource(self) -> dict[str, Any]:
        """The alarm as CloudFormation has it."""
        told = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
        return {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": {"Fn::Sub": f"{STACK}-{self.title}"},
                "AlarmDescription": self.about,
                **self._watched(),
                "EvaluationPeriods": 1,
                "ComparisonOperator": self.comparison,
                "Threshold": self.threshold,
                "TreatMissingData": self.missing,
                "AlarmActions": told,
                "OKActions": told,
            },
        }

    def _watched(self) -> dict[str, Any]:
        if self.share_of is None:
            kind = "ExtendedStatistic" if self.metric.statistic.startswith("p") else "Statistic"
            return {**self.metric.properties(), kind: self.metric.statistic, "Period": self.period}
        parts = [("part", self.metric), ("whole", self.share_of)]
        queries: list[dict[str, Any]] = [
            {
                "Id": name,
                "ReturnData": False,
                "MetricStat": {"Metric": one.properties(), "Stat": one.statistic, "Period": self.period},
            }
            for name, one in parts
        ]
        share = f"IF(whole > {self.at_least}, 100 * part / whole, 0)"
        return {"Metrics": [*queries, {"Id": "share", "Expression": share, "Label": "%", "ReturnData": True}]}


def of_queue(queue: str, name: str, statistic: str = "Maximum") -> Metric:
    return Metric("AWS/SQS", name, (("QueueName", f"{STACK}-{queue}"),), statistic, queue)


def of_function(function: str, name: str, statistic: str = "Sum") -> Metric:
    return Metric("AWS/Lambda", name, (("FunctionName", f"{STACK}-{function}"),), statistic, function)


def of_table(table: str, name: str) -> Metric:
    return Metric("AWS/DynamoDB", name, (("TableName", f"{STACK}-{table}"),), "Sum", table)


def of_api(name: str, statistic: str = "Sum") -> Metric:
    return Metric("AWS/ApiGateway", name, (("ApiName", STACK), ("Stage", "service")), statistic, name)


def of_service(metric: observability.Metric, statistic: str = "Sum", label: str = "", of: str = "") -> Metric:
    dimensions = [(observability.SERVICE_DIMENSION, STACK)] + ([(metric.dimension, of)] if of else [])
    return Metric(observability.NAMESPACE, metric.name, tuple(dimensions), statistic, label or of)


def alarms() -> list[Alarm]:
    """What a person should be told of."""
    waiting, age = "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"
    return [
        Alarm(
            "send-dead-letters",
            "Messages failed for good: /admin/queues or /api/dead-letters/",
            of_queue("send-dead", waiting),
            0,
        ),
        Alarm(
            "dispatch-dead-letters", "Units of the dispatcher failed for good", of_queue("dispatch-dead", waiting), 0
        ),
        # A hint is taken within seconds: what cannot be sent now waits in the ledger.
        Alarm("send-queue-age", "The oldest hint is ten minutes old: senders do not work", of_queue("send", age), 600),
        # A unit that was cut off is seen again after the queue's visibility of twelve minutes.
        Alarm("dispatch-queue-age", "The oldest unit is half an hour old", of_queue("dispatch", age), 1800),
        *(Alarm(f"{name}-errors", f"The function {name} fails", of_function(name, "Errors"), 0) for name in FUNCTIONS),
        *(
            Alarm(f"{name}-throttles", f"The function {name} is throttled", of_function(name, "Throttles"), 0)
            for name in FUNCTIONS
        ),
        Alarm(
            "tick-stopped",
            "The tick has not run for five minutes: nothing is launched or resumed",
            of_function("tick", "Invocations"),
            1,
            comparison="LessThanThreshold",
            missing="breaching",
        ),
        Alarm(
            "nothing-sent",
            "A mailing is running, or should be, without progress for five minutes: senders or dispatchers do not work",
            of_service(observability.MAILINGS_STALLED, "Maximum"),
            0,
        ),
        Alarm(
            "late-starts",
            "A mailing started more than a minute after its time",
            of_service(observability.START_LATENESS, "Maximum"),
            60_000,
        ),
        # Every tick tells the state: ten minutes without a moment in which it was closed.
        Alarm(
            "gateway-circuit",
            "Sending has been paused for ten minutes: /admin/settings or /api/gateway/",
            of_service(observability.CIRCUIT_STATE, "Minimum"),
            0,
            period=600,
        ),
        Alarm(
            "gateway-blocked",
            "The gateway accepts nothing from this account: see the reason at /admin/settings or /api/gateway/",
            of_service(observability.GATEWAY_BLOCKED),
            0,
        ),
        Alarm(
            "gateway-refusals",
            "The gateway refuses more than a fifth of the messages: see the reasons in the mailing's statistics",
            of_service(observability.GATEWAY_REFUSED),
            20,
            share_of=of_service(observability.GATEWAY_LATENCY, "SampleCount"),
            at_least=50,
        ),
        Alarm("api-server-errors", "The API answers with 5xx", of_api("5XXError"), 0),
        # A table that grows with a mailing throttles for seconds, and retries hide it.
        *(
            Alarm(f"{name}-throttles", f"Writes of {name} are throttled", of_table(name, "WriteThrottleEvents"), 1000)
            for name in TABLES
        ),
    ]


def graphs() -> list[tuple[str, list[Metric]]]:
    """What the dashboard shows, with a title each, three in a row."""
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
        ("Tables: throttled writes", [of_table(name, "WriteThrottleEvents") for name in TABLES]),
    ]


def _graphs_of_service() -> list[tuple[str, list[Metric]]]:
    """Of the metrics that the functions emit themselves."""
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
    delays = (observability.START_LATENESS, observability.DISPATCH_LAG, observability.CHECK_ROUND)
    late = [of_service(metric, "Maximum") for metric in delays]
    return [
        ("Mailings", list(mailings)),
        ("Messages: dispatched", [*flow, of_service(observability.BATCH_SIZE, "Average", "batch size, average")]),
        ("Messages: how they ended", [of_service(metric) for metric in ends]),
        ("Messages: parked, by reason", [of_service(parked, of=reason) for reason in parked.values]),
        ("Gateway: calls, failures, circuit", gateway),
        ("Gateway: milliseconds", [of_service(observability.GATEWAY_LATENCY, one, one) for one in percentiles]),
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
