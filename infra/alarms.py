"""The alarms of the template: when to notify a person, and about what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from chalicelib import observability
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

RUNBOOK = "docs/operations.md#when-an-alarm-rings"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Rings when a metric passes a threshold in `datapoints` of the last `periods` periods of so many seconds.

    Missing data is no alarm, unless it says so. With `other` the threshold is for an expression of `one` and `other`.
    """

    title: str
    about: str
    metric: Metric
    threshold: float
    period: int = 300
    datapoints: int = 1
    periods: int = 1
    comparison: str = "GreaterThanThreshold"
    missing: str = "notBreaching"
    other: Metric | None = None
    expression: str = ""

    @property
    def logical_name(self) -> str:
        return "".join(word.capitalize() for word in re.split("[-_]", self.title)) + "Alarm"

    def resource(self) -> dict[str, Any]:
        """The alarm as a CloudFormation resource."""
        told = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
        return {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": {"Fn::Sub": f"{STACK}-{self.title}"},
                "AlarmDescription": f"{self.about}. What to do: {RUNBOOK}",
                **self._watched(),
                "EvaluationPeriods": self.periods,
                "DatapointsToAlarm": self.datapoints,
                "ComparisonOperator": self.comparison,
                "Threshold": self.threshold,
                "TreatMissingData": self.missing,
                "AlarmActions": told,
                "OKActions": told,
            },
        }

    def _watched(self) -> dict[str, Any]:
        if self.other is None:
            kind = "ExtendedStatistic" if self.metric.statistic.startswith("p") else "Statistic"
            return {**self.metric.properties(), kind: self.metric.statistic, "Period": self.period}
        queries: list[dict[str, Any]] = [
            {
                "Id": name,
                "ReturnData": False,
                "MetricStat": {"Metric": metric.properties(), "Stat": metric.statistic, "Period": self.period},
            }
            for name, metric in (("one", self.metric), ("other", self.other))
        ]
        watched = {"Id": "watched", "Expression": self.expression, "Label": self.title, "ReturnData": True}
        return {"Metrics": [*queries, watched]}


def alarms() -> list[Alarm]:
    """All alarms. A single cold start that times out is no reason for one."""
    return [*_of_queues(), *_of_functions(), *_of_mailings(), *_of_gateway(), *_of_tables()]


def _of_queues() -> list[Alarm]:
    waiting, age = "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"
    send, dispatch = (of_queue(name, waiting) for name in ("send-dead", "dispatch-dead"))
    return [
        Alarm("send-dead-letters", "Messages failed for good: /admin/queues or /api/dead-letters/", send, 0),
        Alarm(
            "receipt-dead-letters",
            "Receipts of the gateway could not be applied",
            of_queue("receipts-dead", waiting),
            0,
        ),
        Alarm("receipt-queue-age", "The oldest receipt is half an hour old", of_queue("receipts", age), 1800),
        Alarm("dispatch-dead-letters", "Units of the dispatcher failed for good", dispatch, 0),
        # A hint is taken within seconds, because messages that cannot be sent now wait in the ledger.
        Alarm("send-queue-age", "The oldest hint is ten minutes old: senders do not work", of_queue("send", age), 600),
        # A unit that was cut off is seen again after the queue's visibility of twelve minutes.
        Alarm("dispatch-queue-age", "The oldest unit is half an hour old", of_queue("dispatch", age), 1800),
        # On AWS these run only while there is work, so they have no heartbeat. They delete the work that they have
        # done.
        *(
            Alarm(
                f"{workers}-silent",
                f"Work waits, and no {one} has finished any for five minutes",
                of_queue(queue, waiting),
                0,
                period=60,
                datapoints=5,
                periods=5,
                other=of_queue(queue, "NumberOfMessagesDeleted", "Sum"),
                expression="IF(one > 0 AND FILL(other, 0) < 1, 1, 0)",
            )
            for workers, one, queue in (("senders", "sender", "send"), ("dispatchers", "dispatcher", "dispatch"))
        ),
    ]


def _of_functions() -> list[Alarm]:
    return [
        # Twice in three periods. The report is begun every quarter of an hour, so it fails once in that time at most.
        *(
            Alarm(
                f"{name}-errors",
                f"The function {name} fails again and again",
                of_function(name, "Errors"),
                0,
                period=900 if name == "report" else 300,
                datapoints=2,
                periods=3,
            )
            for name in FUNCTIONS
        ),
        *(
            Alarm(f"{name}-throttles", f"The function {name} is throttled", of_function(name, "Throttles"), 0)
            for name in FUNCTIONS
        ),
        Alarm(
            "api-server-errors",
            "The API answers with 5xx again and again",
            of_api("5XXError"),
            0,
            period=60,
            datapoints=2,
            periods=5,
        ),
        Alarm(
            "tick-stopped",
            "The tick has not run for five minutes: nothing is launched or resumed",
            of_function("tick", "Invocations"),
            1,
            comparison="LessThanThreshold",
            missing="breaching",
        ),
    ]


def _of_mailings() -> list[Alarm]:
    return [
        Alarm(
            "nothing-sent",
            "A mailing is running, or should be, without progress for five minutes: senders or dispatchers do not work",
            of_service(observability.MAILINGS_STALLED, "Maximum"),
            0,
        ),
        Alarm(
            "budget",
            "A mailing has used up 80 % of its budget, or was paused because too little is left",
            of_service(observability.BUDGET_NOTICES, "Sum"),
            0,
        ),
        # With very many mailings a round takes more than a minute, and every other tick finds some left over.
        Alarm(
            "tick-behind",
            "For five minutes each tick has found mailings that nobody looked at since the one before",
            of_service(observability.MAILINGS_UNCHECKED, "Maximum"),
            0,
            period=60,
            datapoints=5,
            periods=5,
        ),
        # A launch that was cut off is repeated by the next tick, about a minute later.
        Alarm(
            "late-starts",
            "A mailing started more than two minutes after its time",
            of_service(observability.START_LATENESS, "Maximum"),
            120_000,
        ),
    ]


def _of_gateway() -> list[Alarm]:
    return [
        # Every tick writes the state: ten minutes without a closed one.
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
            other=of_service(observability.GATEWAY_LATENCY, "SampleCount"),
            expression="IF(other > 50, 100 * one / other, 0)",
        ),
    ]


def _of_tables() -> list[Alarm]:
    # A table that grows with a mailing throttles for seconds, and retries hide it.
    return [
        *(
            Alarm(f"{name}-throttles", f"Writes of {name} are throttled", of_table(name, "WriteThrottleEvents"), 1000)
            for name in TABLES
        ),
        *(
            Alarm(
                f"{table}-{index}-throttles",
                f"Writes of {table} are throttled by its index {index}",
                of_index(table, index, "WriteThrottleEvents"),
                1000,
            )
            for table, index in INDEXES
        ),
    ]
