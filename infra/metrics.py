"""The metrics that alarms and the dashboard watch: AWS's own, and those that the functions emit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chalicelib import observability

STACK = "${AWS::StackName}"
FUNCTIONS = ("api", "tick", "report", "dispatcher", "sender", "receiver")
TABLES = ("clients", "mailings", "ledger", "users", "settings")
INDEXES = (
    ("clients", "contacts_by_tag"),
    ("clients", "contacts_by_operator"),
    ("mailings", "by_status"),
    ("mailings", "by_age"),
    ("ledger", "parked"),
    ("ledger", "trouble"),
    ("users", "by_group"),
)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of CloudWatch and its statistic; `label` is its name in a graph."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    label: str = ""

    def properties(self) -> dict[str, Any]:
        """The properties that identify the metric in CloudFormation."""
        dimensions = [
            {"Name": name, "Value": {"Fn::Sub": value} if "${" in value else value} for name, value in self.dimensions
        ]
        return {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": dimensions}

    def line(self) -> list[Any]:
        """The metric as a line of a graph."""
        names = [part for dimension in self.dimensions for part in dimension]
        return [self.namespace, self.name, *names, {"stat": self.statistic, "label": self.label or self.name}]


def of_queue(queue: str, name: str, statistic: str = "Maximum") -> Metric:
    return Metric("AWS/SQS", name, (("QueueName", f"{STACK}-{queue}"),), statistic, queue)


def of_function(function: str, name: str, statistic: str = "Sum") -> Metric:
    return Metric("AWS/Lambda", name, (("FunctionName", f"{STACK}-{function}"),), statistic, function)


def of_table(table: str, name: str) -> Metric:
    return Metric("AWS/DynamoDB", name, (("TableName", f"{STACK}-{table}"),), "Sum", table)


def of_index(table: str, index: str, name: str) -> Metric:
    """A metric of an index. If an index throttles, its table waits, but the table's own metrics do not show it."""
    dimensions = (("TableName", f"{STACK}-{table}"), ("GlobalSecondaryIndexName", index))
    return Metric("AWS/DynamoDB", name, dimensions, "Sum", f"{table} {index}")


def of_api(name: str, statistic: str = "Sum") -> Metric:
    return Metric("AWS/ApiGateway", name, (("ApiName", STACK), ("Stage", "service")), statistic, name)


def of_service(metric: observability.Metric, statistic: str = "Sum", label: str = "", of: str = "") -> Metric:
    dimensions = [(observability.SERVICE_DIMENSION, STACK)] + ([(metric.dimension, of)] if of else [])
    return Metric(observability.NAMESPACE, metric.name, tuple(dimensions), statistic, label or of)
