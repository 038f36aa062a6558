"""Gauges: the state of the whole service, from counters and queues, with a bounded number of reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..clock import SystemClock
from ..domain.call_totals import CallTotals
from ..domain.gateway_control import GatewayControl
from ..domain.gateway_routes import ONLY, shown
from ..domain.heartbeats import is_stalled
from ..domain.mailings import MailingState
from ..domain.segments import Segment
from ..domain.statuses import UNDER_WAY, MailingStatus
from ..queues import Queue, QueueDepth
from ..storage.call_totals import CallTotalsRepository
from ..storage.clients import ClientRepository
from ..storage.mailings import MailingRepository
from .gateways import Gateways
from .heartbeats import Heartbeats

LOOKED_AT = 50  # mailings whose own counts are read: running ones before paused and cancelled ones


@dataclass(frozen=True, slots=True)
class GatewayGauges:
    """The gauges of one of several gateways."""

    control: GatewayControl
    calls: CallTotals


@dataclass(frozen=True, slots=True)
class Gauges:
    """The state of the service.

    `messages` are those of all mailings by status, without `uncounted` mailings: running and paused ones beyond those
    that are read. `overdue` is how many seconds ago the mailing that waits longest should have started. `stalled`
    mailings run but made no progress for five minutes, although the gateway works. `unheard` is how many seconds ago
    each kind of worker was last seen. `calls` and `control` are of all gateways together; if there are several,
    `by_gateway` has those of each, by its name for people.
    """

    clients: int
    mailings: Mapping[MailingStatus, int]
    messages: Counter[str]
    uncounted: int
    overdue: float
    queues: Mapping[str, QueueDepth]
    control: GatewayControl
    calls: CallTotals
    by_gateway: Mapping[str, GatewayGauges]
    stalled: int
    unheard: Mapping[str, float]


class GaugeService:
    """Reads the state each time, because a function's own counters would be those of one process of many."""

    def __init__(
        self,
        clients: ClientRepository,
        mailings: MailingRepository,
        calls: CallTotalsRepository,
        gateways: Gateways,
        queues: Mapping[str, Queue],
        heartbeats: Heartbeats,
        clock: SystemClock,
    ) -> None:
        self._clients = clients
        self._mailings = mailings
        self._calls = calls
        self._gateways = gateways
        self._queues = queues
        self._heartbeats = heartbeats
        self._clock = clock

    def read(self) -> Gauges:
        """The state of the service. Raises Unavailable if a table or queue does not answer."""
        now, control = self._clock.now(), self._gateways.throttle.state()
        under_way = list(self._mailings.details(self._under_way()))
        totals, ended = self._mailings.totals_with_messages()
        # Before there were several gateways, calls were counted under the name of the only one.
        calls = self._calls.read({ONLY, *self._gateways.lines})
        read = Counter(state.mailing.status for state, _ in under_way)
        return Gauges(
            clients=self._clients.count(Segment()),
            mailings={status: totals.get(status, 0) for status in MailingStatus},
            messages=_messages(ended, [state for state, _ in under_way]),
            uncounted=sum(max(0, totals.get(status, 0) - read[status]) for status in UNDER_WAY),
            overdue=self._overdue(),
            queues={name: queue.depths() for name, queue in self._queues.items()},
            control=control,
            calls=CallTotals.sum_of(calls.values()),
            by_gateway={
                shown(line.name): GatewayGauges(line.control.state(), calls[line.name]) for line in self._gateways
            }
            if self._gateways.several
            else {},
            stalled=sum(is_stalled(state, counters, control, now) for state, counters in under_way),
            unheard={beat.worker: (now - beat.at).total_seconds() for beat in self._heartbeats.read() if beat.at},
        )

    def _under_way(self) -> list[str]:
        """Up to 50 mailings with messages that may not be in the sums of ended mailings."""
        ids = [one.mailing_id for status in UNDER_WAY for one in self._mailings.lists.list(status, None, LOOKED_AT)[0]]
        return list(dict.fromkeys([*ids, *self._mailings.closing(LOOKED_AT)]))[:LOOKED_AT]

    def _overdue(self) -> float:
        first = self._mailings.lists.first_of(MailingStatus.SCHEDULED, 1)
        return max(0.0, (self._clock.now() - first[0].start_at).total_seconds()) if first else 0.0


def _messages(ended: Mapping[tuple[str, str], int], under_way: Sequence[MailingState]) -> Counter[str]:
    """Messages by status: of ended mailings, and of those under way."""
    messages: Counter[str] = Counter()
    for (_, message), count in ended.items():
        messages[message] += count
    for state in under_way:
        if not state.mailing.final:
            counts = state.statistics.counts()
            del counts["total"]
            messages.update(counts)
    return messages
