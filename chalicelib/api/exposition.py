"""Gauges in the exposition format of Prometheus, and the list of everything that is exported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..domain.call_totals import BOUNDS_MS
from ..domain.gateway_control import CIRCUITS
from ..domain.statuses import COUNTED
from ..services.gauges import GatewayGauges, Gauges

_PREFIX = "message_service_"
_GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Family:
    """One exported metric."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    about: str


MAILINGS = Family("mailings", "gauge", ("status",), "Mailings by status")
MESSAGES = Family("messages", "gauge", ("status",), "Messages of all mailings by status")
UNCOUNTED = Family(
    "uncounted_mailings", "gauge", (), "Mailings under way beyond the first 50, whose messages are not counted"
)
OVERDUE = Family("overdue_seconds", "gauge", (), "How long ago the mailing that waits longest should have started")
STALLED = Family(
    "stalled_mailings",
    "gauge",
    (),
    "Running mailings without progress for five minutes, although the gateway works",
)
UNHEARD = Family("worker_unheard_seconds", "gauge", ("worker",), "How long ago each kind of worker was last active")
CLIENTS = Family("clients", "gauge", (), "Clients")
QUEUE = Family("queue_messages", "gauge", ("queue", "state"), "Messages that a queue holds, approximately")
CIRCUIT = Family("gateway_circuit", "gauge", ("state",), "1 for the current state of the gateway's circuit, else 0")
RATE = Family(
    "gateway_rate_limit",
    "gauge",
    (),
    "The gateway's rate limit per second, in messages or SMS parts, 0 for no limit",
)
CALLS = Family("gateway_calls_total", "counter", ("outcome",), "Gateway calls by outcome")
DURATION = Family("gateway_call_duration_seconds", "histogram", (), "How long gateway calls took")

REPLIES = Family(
    "replies_total", "counter", ("fate",), "Replies of people that were kept, or dropped as too many in a minute"
)
DELIVERIES = Family(
    "deliveries_total", "counter", ("status",), "Messages that were delivered or not, as the gateway's receipts say"
)

FAMILIES = (
    MAILINGS,
    MESSAGES,
    UNCOUNTED,
    OVERDUE,
    STALLED,
    UNHEARD,
    CLIENTS,
    QUEUE,
    CIRCUIT,
    RATE,
    CALLS,
    DURATION,
    REPLIES,
    DELIVERIES,
)


def exposition(gauges: Gauges) -> str:
    """The text for Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(gauges))
    return generate_latest(registry).decode()


class _Collected(Collector):
    """A collector of gauges, for a registry."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        gauges = self._gauges
        yield _family(MAILINGS, {(str(status),): count for status, count in gauges.mailings.items()})
        yield _family(MESSAGES, {(status,): gauges.messages[status] for status in ("queued", *COUNTED)})
        yield _family(UNCOUNTED, {(): gauges.uncounted})
        yield _family(OVERDUE, {(): gauges.overdue})
        yield _family(STALLED, {(): gauges.stalled})
        yield _family(UNHEARD, {(worker,): seconds for worker, seconds in gauges.unheard.items()})
        yield _family(CLIENTS, {(): gauges.clients})
        depths: dict[tuple[str, ...], float] = {
            (name, state): getattr(depth, state)
            for name, depth in gauges.queues.items()
            for state in ("visible", "delayed", "in_flight")
        }
        yield _family(QUEUE, depths)
        # With several gateways each has its own series, by the last label; there are at most 16.
        each = gauges.by_gateway or {"": GatewayGauges(gauges.control, gauges.calls)}
        more = (_GATEWAY,) if gauges.by_gateway else ()
        named = {name: (name,) if more else () for name in each}
        circuits = {
            (state, *named[name]): one.control.circuit == state for name, one in each.items() for state in CIRCUITS
        }
        yield _family(CIRCUIT, circuits, more)
        yield _family(RATE, {named[name]: one.control.rate or 0 for name, one in each.items()}, more)
        outcomes = {
            (str(outcome), *named[name]): count
            for name, one in each.items()
            for outcome, count in one.calls.by_outcome.items()
        }
        yield _family(CALLS, outcomes, more)
        yield _family(REPLIES, {(fate,): count for fate, count in gauges.calls.by_fate.items()})
        yield _family(DELIVERIES, {(status,): count for status, count in gauges.calls.by_delivery.items()})
        bounds = [*(str(bound / 1000) for bound in BOUNDS_MS), "+Inf"]
        histogram = HistogramMetricFamily(_PREFIX + DURATION.name, DURATION.about, labels=more)
        for name, one in each.items():
            buckets = list(zip(bounds, one.calls.cumulated, strict=True))
            histogram.add_metric(named[name], buckets, one.calls.seconds)
        yield histogram


def _family(family: Family, values: Mapping[tuple[str, ...], float], more: tuple[str, ...] = ()) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    made = kind(_PREFIX + family.name, family.about, labels=(*family.labels, *more))
    for labels, value in values.items():
        made.add_metric(labels, value)
    return made
