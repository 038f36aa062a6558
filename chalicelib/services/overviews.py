"""The overview: what an operator wants to see at a glance, from counters, with a bounded number of reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..clock import SystemClock
from ..domain.gateway_control import GatewayControl
from ..domain.heartbeats import Heartbeat, is_stalled, silent
from ..domain.mailings import Mailing
from ..domain.progress import Progress, progress_of
from ..domain.statuses import UNDER_WAY, MailingStatus
from ..queues import Queue
from ..storage.activity import ActivityRepository
from ..storage.mailings import MailingRepository
from .gateways import Gateways
from .heartbeats import Heartbeats

SHOWN = 10  # mailings under way; each costs a read
NEXT = 5
MOST_STARTING = 200  # mailings of a status in a calendar
_HOUR = timedelta(hours=1)
_DEAD = "-dead"  # ends the names of dead-letter queues


@dataclass(frozen=True, slots=True)
class Overview:
    """What is going on. `unseen` is how many more mailings are under way than `under_way` has.

    `today` counts the messages that ended since the day began, by status. `open` counts the messages of mailings under
    way that have not ended. `dead` is the number of dead letters, by the name of their queue. `silent` workers should
    have been seen again. Mailings with the `stalled` ids run but make no progress.
    """

    at: datetime
    mailings: Mapping[MailingStatus, int]
    under_way: tuple[Progress, ...]
    unseen: int
    next: tuple[Mailing, ...]
    today: Counter[str]
    dead: Mapping[str, int]
    control: GatewayControl
    silent: Sequence[Heartbeat]
    stalled: frozenset[str]

    @property
    def open(self) -> int:
        return sum(progress.total - progress.done for progress in self.under_way)


class OverviewService:
    """Reads counters and queues, but no messages."""

    def __init__(
        self,
        mailings: MailingRepository,
        activity: ActivityRepository,
        gateways: Gateways,
        queues: Mapping[str, Queue],
        heartbeats: Heartbeats,
        clock: SystemClock,
    ) -> None:
        self._mailings = mailings
        self._activity = activity
        self._gateways = gateways
        self._dead = {name.removesuffix(_DEAD): one for name, one in queues.items() if name.endswith(_DEAD)}
        self._heartbeats = heartbeats
        self._clock = clock

    def look(self, day_start: datetime) -> Overview:
        """What is going on, and what ended since `day_start`, at most a week ago.

        Raises Unavailable if something is down.
        """
        now, control = self._clock.now(), self._gateways.throttle.state()
        totals = self._mailings.totals()
        details = list(self._mailings.details(self._under_way()))
        under_way = tuple(
            progress_of(state, counters, self._gateways.stops_known(state.mailing), now) for state, counters in details
        )
        going_on = sum(totals.get(status, 0) for status in UNDER_WAY)
        hours = self._activity.read(day_start)
        return Overview(
            at=now,
            mailings={status: totals.get(status, 0) for status in MailingStatus},
            under_way=under_way,
            unseen=max(0, going_on - len(under_way)),
            next=tuple(self._mailings.lists.first_of(MailingStatus.SCHEDULED, NEXT)),
            today=sum((counts for hour, counts in hours.items() if hour >= day_start), Counter()),
            dead={name: queue.depths().visible for name, queue in self._dead.items()},
            control=control,
            silent=silent(self._heartbeats.read(), now),
            stalled=frozenset(
                state.mailing.mailing_id for state, counters in details if is_stalled(state, counters, control, now)
            ),
        )

    def _under_way(self) -> list[str]:
        """The running mailings, then the paused ones, each with the latest start first."""
        found: list[Mailing] = []
        for status in UNDER_WAY:
            if room := SHOWN - len(found):
                found += self._mailings.lists.list(status, None, room)[0]
        return [mailing.mailing_id for mailing in found]

    def starting(self, since: datetime, until: datetime) -> tuple[list[Mailing], bool]:
        """The mailings that start at `since` or later, but before `until`, by start; and whether there are more.

        Up to `MOST_STARTING` of each status.
        """
        found: list[Mailing] = []
        more = False
        for status in MailingStatus:
            some = self._mailings.lists.starting(status, since, until, MOST_STARTING + 1)
            more = more or len(some) > MOST_STARTING
            found += some[:MOST_STARTING]
        return sorted(found, key=lambda one: (one.start_at, one.mailing_id)), more

    def last_hours(self, count: int) -> list[tuple[datetime, Counter[str]]]:
        """Messages that ended in each of the last `count` hours (with the current one) by status, earliest first."""
        this_hour = self._clock.now().replace(minute=0, second=0, microsecond=0)
        first = this_hour - (count - 1) * _HOUR
        found = self._activity.read(first)
        hours = [first + number * _HOUR for number in range(count)]
        return [(hour, found.get(hour, Counter())) for hour in hours]
