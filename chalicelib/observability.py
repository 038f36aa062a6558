"""The logger, the metrics of CloudWatch, and the context of an invocation."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics.functions import is_metrics_disabled
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from .domain.reasons import Reason

SERVICE = "message-service"
NAMESPACE = "MessageService"
# Every metric has the dimension `service`: the stack's name on AWS (POWERTOOLS_SERVICE_NAME in the template).
SERVICE_DIMENSION = "service"
_VALUES_AT_ONCE = 100  # values of one metric in one record of the embedded metric format


def _new_logger() -> Logger:
    """The logger with the level in LOG_LEVEL. A wrong level is reported when settings are read, not by an import."""
    try:
        return Logger(service=SERVICE, utc=True, use_rfc3339=True)
    except ValueError:
        return Logger(service=SERVICE, utc=True, use_rfc3339=True, level="INFO")


# Records about these have the keys mailing_id, message_id, client_id. Never log a phone number, a text or a secret.
logger = _new_logger()


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of CloudWatch. Counts are added up for each invocation; for other units every value is kept.

    A metric may have one more dimension with the listed values only, because each of them is a paid metric.
    """

    name: str
    unit: str
    about: str
    dimension: str = ""
    values: tuple[str, ...] = ()


RETRY = "retry"  # a message waits for its next attempt, whatever the result of the last one
COUNT, MILLISECONDS, NO_UNIT = "Count", "Milliseconds", "None"

MAILINGS_CREATED = Metric("MailingsCreated", COUNT, "Mailings that were created")
BUDGET_NOTICES = Metric("BudgetNotices", COUNT, "Mailings that had used up 80 % of their budget, or were paused for it")
MAILINGS_UNDER_WAY = Metric("MailingsUnderWay", NO_UNIT, "Running and paused mailings that a tick found")
MAILINGS_UNCHECKED = Metric(
    "MailingsUnchecked", NO_UNIT, "Mailings under way that nobody has looked at since the last tick: it is behind"
)
CHECK_ROUND = Metric("CheckRound", MILLISECONDS, "How long it took to look at all mailings under way once")
MAILINGS_STALLED = Metric(
    "MailingsStalled", NO_UNIT, "Mailings that run, or should run, without progress for five minutes"
)
START_LATENESS = Metric(
    "StartLateness", MILLISECONDS, "Time from a mailing's start, or its creation if later, to its launch"
)
DISPATCH_LAG = Metric(
    "DispatchLag", MILLISECONDS, "Time from a mailing's launch until all rows of a shard were written"
)
MESSAGES_CREATED = Metric("MessagesCreated", COUNT, "Rows that dispatch added to the ledger")
MESSAGES_DISPATCHED = Metric("MessagesDispatched", COUNT, "Messages that were put on the send queue")
MESSAGES_SENT = Metric("MessagesSent", COUNT, "Messages that the gateway accepted")
MESSAGES_FAILED = Metric("MessagesFailed", COUNT, "Messages that were refused, or whose attempts all failed")
MESSAGES_UNKNOWN = Metric("MessagesUnknown", COUNT, "Messages that may or may not have been sent")
MESSAGES_EXPIRED = Metric("MessagesExpired", COUNT, "Messages that were not sent before the mailing's end")
MESSAGES_CANCELLED = Metric("MessagesCancelled", COUNT, "Messages of cancelled mailings")
MESSAGES_SKIPPED = Metric("MessagesSkipped", COUNT, "Messages to clients who must not get one")
MESSAGES_PARKED = Metric(
    "MessagesParked",
    COUNT,
    "Messages that were put back to wait, by reason",
    "reason",
    (Reason.CIRCUIT_OPEN.value, Reason.RATE_LIMIT.value, Reason.OUTSIDE_LOCAL_WINDOW.value, RETRY),
)
BATCH_SIZE = Metric("BatchSize", COUNT, "Messages given to one invocation of the sender")
GATEWAY_LATENCY = Metric("GatewayLatency", MILLISECONDS, "How long gateway calls took")
GATEWAY_FAILURES = Metric("GatewayFailures", COUNT, "Gateway calls without a clear answer")
GATEWAY_REFUSED = Metric("GatewayRefused", COUNT, "Gateway calls that were refused")
GATEWAY_THROTTLED = Metric("GatewayThrottled", COUNT, "Gateway calls answered with “too many”")
GATEWAY_BLOCKED = Metric(
    "GatewayBlocked", COUNT, "Gateway calls whose answer was about the account: key, money, address"
)
RECEIPTS_RECEIVED = Metric("ReceiptsReceived", COUNT, "Receipts of the gateway that were read")
RECEIPTS_DROPPED = Metric(
    "ReceiptsDropped",
    COUNT,
    "Receipts that fit no message, or that nobody can read, by reason",
    "reason",
    ("never_sent", "no_message", "unreadable", "wrong_number"),
)
REPLIES_RECEIVED = Metric("RepliesReceived", COUNT, "Replies of people that were kept")
MESSAGES_DELIVERED = Metric("MessagesDelivered", COUNT, "Messages that reached the phone, as receipts say")
MESSAGES_UNDELIVERED = Metric("MessagesUndelivered", COUNT, "Messages that did not reach the phone, as receipts say")
DELIVERY_LAG = Metric("DeliveryLag", MILLISECONDS, "Time from the gateway's acceptance to the phone, as receipts say")
LEDGER_BUSY = Metric("LedgerBusy", COUNT, "Writes to the ledger that were throttled and retried")
CIRCUIT_STATE = Metric("CircuitState", NO_UNIT, "0 while the circuit is closed, 1 open, 2 held; from every tick")
API_LATENCY = Metric("ApiLatency", MILLISECONDS, "How long requests took, without API Gateway")
API_ERRORS = Metric("ApiErrors", COUNT, "Requests that were answered with an error", "status", ("4xx", "5xx"))
REPORTS_SENT = Metric("ReportsSent", COUNT, "Daily reports that were sent")

METRICS = (
    MAILINGS_CREATED,
    BUDGET_NOTICES,
    MAILINGS_UNDER_WAY,
    MAILINGS_UNCHECKED,
    CHECK_ROUND,
    MAILINGS_STALLED,
    START_LATENESS,
    DISPATCH_LAG,
    MESSAGES_CREATED,
    MESSAGES_DISPATCHED,
    MESSAGES_SENT,
    MESSAGES_FAILED,
    MESSAGES_UNKNOWN,
    MESSAGES_EXPIRED,
    MESSAGES_CANCELLED,
    MESSAGES_SKIPPED,
    MESSAGES_PARKED,
    BATCH_SIZE,
    GATEWAY_LATENCY,
    GATEWAY_FAILURES,
    GATEWAY_REFUSED,
    GATEWAY_THROTTLED,
    GATEWAY_BLOCKED,
    RECEIPTS_RECEIVED,
    RECEIPTS_DROPPED,
    REPLIES_RECEIVED,
    MESSAGES_DELIVERED,
    MESSAGES_UNDELIVERED,
    DELIVERY_LAG,
    LEDGER_BUSY,
    CIRCUIT_STATE,
    API_LATENCY,
    API_ERRORS,
    REPORTS_SENT,
)
_BY_NAME = {metric.name: metric for metric in METRICS}

_Measured = dict[tuple[str, str], list[float]]  # values by metric and value of its own dimension
_measured: ContextVar[_Measured | None] = ContextVar("measured", default=None)


def measure(metric: Metric, value: float = 1, of: str = "") -> None:
    """Note a value for the current invocation. `of` is the value of the metric's own dimension.

    Does nothing outside an invocation.
    """
    measured = _measured.get()
    if measured is None:
        return
    if of not in (metric.values or ("",)):
        raise ValueError(f"{metric.name} knows no {metric.dimension} {of!r}")
    values = measured.setdefault((metric.name, of), [])
    if values and metric.unit == COUNT:
        values[0] += value
    else:
        values.append(value)


_user: ContextVar[str] = ContextVar("user", default="")


def name_user(username: str) -> None:
    """Set the user of this invocation for its further log records and its entries in the audit log."""
    logger.thread_safe_append_keys(username=username)
    _user.set(username)


def asking_user() -> str:
    """The user of this invocation, "" if the service works by itself."""
    return _user.get()


@contextmanager
def invocation(function: str, request_id: str = "") -> Iterator[None]:
    """One invocation of a function: its log records have the request's id, its metrics are written at its end.

    Several invocations may run in threads of one process; they share nothing.
    """
    token = _measured.set({})
    nobody = _user.set("")
    keys = {"function": function, "request_id": request_id}
    logger.thread_safe_append_keys(**{name: value for name, value in keys.items() if value})
    try:
        yield
    finally:
        logger.thread_safe_clear_keys()
        _flush(_measured.get() or {})
        _measured.reset(token)
        _user.reset(nobody)


def _flush(measured: _Measured) -> None:
    """Write the metrics to the log, where CloudWatch finds them: one line for each set of dimensions."""
    if is_metrics_disabled():
        return
    sets: dict[tuple[str, str], dict[str, list[float]]] = {}
    for (name, of), values in measured.items():
        sets.setdefault((_BY_NAME[name].dimension, of), {})[name] = values
    for (dimension, of), metrics in sets.items():
        while metrics:
            now = {name: values[:_VALUES_AT_ONCE] for name, values in metrics.items()}
            _write(now, {dimension: of} if dimension else {})
            rest = {name: values[_VALUES_AT_ONCE:] for name, values in metrics.items()}
            metrics = {name: values for name, values in rest.items() if values}


def _write(metrics: dict[str, list[float]], dimensions: dict[str, str]) -> None:
    # Powertools' add_metric serializes all values again for each that is added, which takes 300 us for fifty.
    metric_set = {
        name: {"Unit": _BY_NAME[name].unit, "StorageResolution": 60, "Value": values}
        for name, values in metrics.items()
    }
    provider = AmazonCloudWatchEMFProvider(metric_set=metric_set, dimension_set=dimensions, namespace=NAMESPACE)
    provider.service = provider.service or SERVICE
    # One write, so that the lines of several threads do not mix.
    sys.stdout.write(json.dumps(provider.serialize_metric_set(), separators=(",", ":")) + "\n")
    sys.stdout.flush()
