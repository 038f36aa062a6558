"""The daily report: made from the counters of the day's mailings, and sent once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from ..clock import SystemClock
from ..config import Settings
from ..domain.audit import Act, AuditAction, AuditObject
from ..domain.deliveries import deliveries_of
from ..domain.errors import Conflict, NotFound
from ..domain.faults import Fault
from ..domain.mailings import Mailing, MailingState, Statistics
from ..domain.reasons import Cause
from ..domain.reports import DailyReport, Day, MailingLine, ReasonLine, Timetable, concerns
from ..domain.statuses import MailingStatus
from ..observability import REPORTS_SENT, logger, measure
from ..storage.activity import ActivityRepository
from ..storage.audit import AuditLog
from ..storage.leases import new_owner
from ..storage.mailings import MailingRepository
from ..storage.reports import ReportRepository

if TYPE_CHECKING:
    from ..emails.post import Post

READ = 2000  # mailings of each status that are read
DETAILED = 200  # mailings whose counters are read: the unfinished and the largest ones
LISTED = 50
REASONS = 20
_BEFORE = timedelta(days=31)  # how long before the day a mailing that sent nothing on it may have started
_LEASE = timedelta(minutes=5)  # longer than a report takes, shorter than the time until the next try
_FOREVER = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class SentReport:
    """A report that was sent: its content, its recipients, and where it went."""

    report: DailyReport
    recipients: tuple[str, ...]
    went_to: str


@dataclass(slots=True)
class _Sums:
    """Sums over the mailings whose counters are read."""

    sent: Counter[datetime] = field(default_factory=Counter)
    causes: Counter[tuple[str, Cause]] = field(default_factory=Counter)
    deliveries: Counter[str] = field(default_factory=Counter)


class ReportService:
    """Makes and sends reports. `post` is called for the first e-mail."""

    def __init__(
        self,
        settings: Settings,
        reports: ReportRepository,
        mailings: MailingRepository,
        activity: ActivityRepository,
        post: Callable[[], Post],
        clock: SystemClock,
        rng: random.Random,
        audit: AuditLog,
    ) -> None:
        self._sender = settings.report_from
        self._recipients = settings.report_recipients
        self._timetable = Timetable(settings.report_hour, settings.report_timezone)
        self._reports = reports
        self._mailings = mailings
        self._activity = activity
        self._post = post
        self._clock = clock
        self._rng = rng
        self._audit = audit

    def send_due(self) -> SentReport | None:
        """Send the report that is due, once, or return None if none is due.

        Raises NotSent or Unavailable if it fails before the e-mail is sent; the next call then tries again. An e-mail
        that may have been sent is not sent again.
        """
        now = self._clock.now()
        day = self._timetable.due(now) if self._recipients else None
        if day is None:
            return None
        owner = new_owner(self._rng)
        if not self._reports.claim(day.on, owner, now, now + _LEASE):
            return None
        report = self.make(day)
        if not self._reports.begin(day.on, owner, self._clock.now()):
            logger.warning("another worker is sending the report", day=day.on.isoformat())
            return None
        return self._send_once(report, owner)

    def send(self, day: date | None = None) -> SentReport:
        """Send a report now, of today so far if `day` is None. Raises Conflict if the report has no recipients."""
        if not self._recipients:
            raise Conflict(Fault.NO_REPORT_RECIPIENTS)
        now = self._clock.now()
        today = self._timetable.today(now)
        if day is not None and day > today:
            raise Conflict(Fault.DAY_NOT_BEGUN, day=day)
        sent = self._send(self.make(Day.of(day or today, self._timetable.timezone)))
        self._audit.put(Act(AuditAction.SENT, AuditObject.REPORT, name=str(sent.report.day.on)))
        return sent

    def _send_once(self, report: DailyReport, owner: str) -> SentReport:
        from ..emails.post import NotSent

        day = report.day.on
        try:
            sent = self._send(report)
        except NotSent:
            self._reports.give_back(day, owner)
            raise
        self._reports.sent(day, owner, self._clock.now())
        return sent

    def _send(self, report: DailyReport) -> SentReport:
        from ..emails.daily import message_for  # imported here because only reports need templates and charts

        message = message_for(report, self._sender, self._recipients)
        went_to = self._post().send(message, self._recipients)
        measure(REPORTS_SENT)
        logger.info("report sent", day=report.day.on.isoformat(), mailings=report.mailings.total(), went_to=went_to)
        return SentReport(report, self._recipients, went_to)

    # -- what it says

    def make(self, day: Day) -> DailyReport:
        """The report of a day, from at most READ mailings of each status and the counters of DETAILED ones."""
        mailings, cut = self._mailings_of(day)
        sums = _Sums()
        lines = [self._read(mailing, day, sums) for mailing in mailings[:DETAILED]]
        lines += [_line(mailing, None) for mailing in mailings[DETAILED:]]
        messages: Counter[str] = Counter()
        for line in lines:
            messages.update({status: count for status, count in line.counts.items() if status != "total"})
        causes = sorted(sums.causes.items(), key=lambda one: (-one[1], one[0][0], str(one[0][1])))
        lines.sort(key=lambda line: (-line.counts["total"], line.mailing_id))
        return DailyReport(
            day=day,
            made_at=self._clock.now(),
            mailings=Counter(str(mailing.status) for mailing in mailings),
            messages=+messages,  # without zeros
            sent=[(hour, sums.sent[hour]) for hour in day.hours()],
            reasons=[ReasonLine(status, cause, count) for (status, cause), count in causes[:REASONS]],
            other_reasons=sum(count for _, count in causes[REASONS:]),
            lines=lines[:LISTED],
            unlisted=max(0, len(lines) - LISTED),
            unread=max(0, len(lines) - DETAILED),
            cut=cut,
            deliveries=+sums.deliveries,
        )

    def _mailings_of(self, day: Day) -> tuple[list[Mailing], bool]:
        """The day's mailings, those whose counters matter most first, and whether there may be more.

        These are mailings that sent something on the day, whenever they started, and those that start, wait or ended
        then.
        """
        active = self._activity.mailings(day.start, day.end, READ)
        cut = len(active) >= READ
        found = {one.mailing_id: one for one in self._reports.named(active) if concerns(one, day)}
        for status in MailingStatus:
            before = _BEFORE if status.ended else _FOREVER
            some = self._reports.mailings(status, day.start - before, day.end, READ)
            cut = cut or len(some) == READ
            found |= {mailing.mailing_id: mailing for mailing in some if concerns(mailing, day)}
        return sorted(found.values(), key=_importance), cut

    def _read(self, mailing: Mailing, day: Day, sums: _Sums) -> MailingLine:
        try:
            state, counters = self._mailings.detail(mailing.mailing_id)
        except NotFound:  # deleted since
            return _line(mailing, 0)
        for (status, cause), count in counters.by_cause.items():
            sums.causes[str(status), cause] += count
        hours = {hour: count for hour, count in counters.by_hour.items() if day.start <= hour < day.end}
        sums.sent.update(hours)
        told = deliveries_of(
            counters.by_name, state.statistics.by_status["sent"], counters.last_sent_at, self._clock.now()
        )
        deliveries = (
            Counter({str(status): count for status, count in told.by_status.items() if count})
            if told.any
            else Counter()
        )
        sums.deliveries.update(deliveries)
        return _line(mailing, sum(hours.values()), state, deliveries)


def _importance(mailing: Mailing) -> tuple[bool, int, str]:
    return bool(mailing.final), -sum(count for _, count in mailing.final), mailing.mailing_id


def _line(
    mailing: Mailing, sent_on_day: int | None, state: MailingState | None = None, deliveries: Counter[str] | None = None
) -> MailingLine:
    final = Counter(dict(mailing.final))
    statistics = state.statistics if state else Statistics(final.total(), final, dispatched=True)
    return MailingLine(
        mailing_id=mailing.mailing_id,
        name=mailing.title,
        status=mailing.status,
        start_at=mailing.start_at,
        counts=statistics.counts(),
        sent_on_day=sent_on_day,
        deliveries=deliveries or Counter(),
    )
