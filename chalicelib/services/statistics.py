"""Statistics: counts of all mailings and messages, and of one mailing. They read no rows of the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from ..clock import SystemClock
from ..domain.deliveries import Deliveries, deliveries_of
from ..domain.errors import NotFound
from ..domain.mailing_counters import MailingCounters
from ..domain.mailing_ids import checked_mailing_id
from ..domain.mailings import Mailing, MailingState
from ..domain.sms import part_count
from ..domain.statuses import UNDER_WAY, MailingStatus
from ..storage.mailings import MailingRepository
from .receiving.links import ReceiptLinks

_CLOSING = 200  # cancelled mailings whose last messages are being closed; there are few, each for seconds


@dataclass(frozen=True, slots=True)
class StatusOverview:
    """All mailings with one status: how many, and their messages by status."""

    status: MailingStatus
    mailings: int
    messages: Counter[str]


class StatisticsService:
    """Reads counters: sums for ended mailings, and each other mailing's own."""

    def __init__(self, mailings: MailingRepository, links: ReceiptLinks, clock: SystemClock) -> None:
        self._mailings = mailings
        self._links = links
        self._clock = clock

    def overview(self) -> list[StatusOverview]:
        """Every status with its mailings and messages. The cost grows with the number of mailings under way."""
        messages: defaultdict[str, Counter[str]] = defaultdict(Counter)
        totals, ended = self._mailings.totals_with_messages()
        for (mailing, message), count in ended.items():
            messages[mailing][message] += count
        for state, _ in self._mailings.details(self._under_way()):
            if state.mailing.final:
                continue
            counts = state.statistics.counts()
            del counts["total"]
            messages[state.mailing.status].update(counts)
        return [StatusOverview(status, totals.get(status, 0), messages[status]) for status in MailingStatus]

    def _under_way(self) -> list[str]:
        """Mailings with messages that may not be in the sums of ended mailings."""
        ids = [
            mailing.mailing_id
            for status in UNDER_WAY
            for mailing in self._mailings.lists.with_status(status)
            if mailing.launched_at
        ]
        return [*ids, *self._mailings.closing(_CLOSING)]

    def deliveries(self, state: MailingState, counters: MailingCounters) -> Deliveries | None:
        """A mailing's deliveries; None if receipts are switched off and none came."""
        sent = state.statistics.by_status["sent"]
        told = deliveries_of(counters.by_name, sent, counters.last_sent_at, self._clock.now())
        return told if told.any or (self._links.on and sent) else None

    def with_deliveries(self, mailing: Mailing) -> tuple[MailingState, Deliveries | None] | None:
        """A listed mailing with its counts and deliveries, in one read.

        None without a read if receipts are switched off or it never ran; None if it was deleted meanwhile.
        """
        if not self._links.on or mailing.launched_at is None:
            return None
        try:
            state, counters = self._mailings.detail(mailing.mailing_id)
        except NotFound:  # deleted since
            return None
        return state, self.deliveries(state, counters)

    @staticmethod
    def parts(state: MailingState, counters: MailingCounters) -> Mapping[date, int] | None:
        """The SMS parts that a mailing sent on each day (UTC), as this service counted them.

        None if they were not counted, which is so for personal texts that an older version sent.
        """
        mailing = state.mailing
        days = counters.parts_by_day(None if mailing.personal else part_count(mailing.text))
        return days if days or not state.statistics.by_status["sent"] else None

    def detail(self, mailing_id: str) -> tuple[MailingState, MailingCounters]:
        """One mailing with all its counters. Raises NotFound if there is none."""
        return self._mailings.detail(checked_mailing_id(mailing_id))

    def details(self, mailing_ids: Iterable[str]) -> Iterator[tuple[MailingState, MailingCounters]]:
        """The mailings that exist, each as `detail` reads it."""
        return self._mailings.details(mailing_ids)
