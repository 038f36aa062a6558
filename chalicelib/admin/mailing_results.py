"""The results of a mailing, for its page: a chart over time, bars by status and by reason, and its history."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..domain.deliveries import Deliveries
from ..domain.history import Happening, HistoryEvent, mailing_events
from ..domain.mailing_counters import MailingCounters
from ..domain.mailings import Mailing
from ..domain.statuses import MailingStatus
from . import charts, formats
from .charts import FAILED, OTHER, SENT, Bucket, Series
from .page_request import PageRequest
from .texts import _, paused_for, reason, status_name

_MOST = 60  # columns
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a mailing; `done` is False if it is in the future. `by` is a username."""

    at: datetime
    text: str
    done: bool = True
    by: str = ""


def chart(request: PageRequest, counters: MailingCounters) -> charts.Columns | None:
    """A chart of what was sent and failed over time, as finely as it was counted. None if nothing was."""
    time_series = counters.time_series
    if not time_series.periods:
        return None
    start, end = min(time_series.periods), max(time_series.periods) + time_series.width
    step = max(time_series.width, charts.step_for(start, end, _MOST))
    series = (Series(SENT, _("sent")), Series(FAILED, _("failed")), Series(OTHER, _("unknown")))
    counts = {
        at: {SENT: some["sent"], FAILED: some["failed"], OTHER: some["unknown"]}
        for at, some in time_series.periods.items()
    }
    buckets = [
        Bucket(_label(request, at, step), bucket, _label(request, at, step, full=True))
        for at, bucket in charts.grouped(counts, start, end, step)
    ]
    return charts.columns("over-time", _title(step), series, buckets)


def _label(request: PageRequest, at: datetime, step: timedelta, *, full: bool = False) -> str:
    if step >= _DAY:  # days are counted in UTC
        return formats.day(at.astimezone(UTC), year=full)
    local = request.local(at)
    return formats.clock(local) if full else f"{local:%H:%M}"


def _title(step: timedelta) -> str:
    named = {
        timedelta(minutes=1): _("Per minute"),
        timedelta(hours=1): _("Per hour"),
        _DAY: _("Per day (UTC)"),
    }
    if step in named:
        return named[step]
    if step < timedelta(hours=1):
        return _("Every %(n)s minutes", n=step // timedelta(minutes=1))
    if step < _DAY:
        return _("Every %(n)s hours", n=step // timedelta(hours=1))
    return _("Every %(n)s days (UTC)", n=step // _DAY)


def reasons(counters: MailingCounters) -> charts.Bars:
    """Why messages were not sent, or not yet: all statuses except sent."""
    named = {f"{status_name(status)}: {reason(cause)}": count for (status, cause), count in counters.by_cause.items()}
    return charts.bars(_("By reason"), _("Reason"), named)


def delivery(told: Deliveries) -> charts.Bars:
    """How many of the sent messages reached the phone, according to receipts."""
    named = {status_name(status): count for status, count in told.by_status.items()}
    return charts.bars(_("Delivery"), _("Delivery"), named)


def undelivered(told: Deliveries) -> charts.Bars:
    """Why messages were not delivered."""
    named: Counter[str] = Counter()
    for (cause, permanent), count in told.why.items():
        named[f"{reason(cause)} ({_('permanently')})" if permanent else reason(cause)] += count
    return charts.bars(_("Why not delivered"), _("Reason"), named)


def events(request: PageRequest, mailing: Mailing, counters: MailingCounters) -> list[Event]:
    """Past events, the earliest first, and future ones."""
    told: list[Event] = []
    before: MailingStatus | None = None
    for event in sorted(mailing_events(mailing, counters), key=lambda event: event.at):
        told.append(Event(event.at, _told(event, before, mailing), by=event.by))
        if isinstance(event.status, MailingStatus):
            before = event.status
    ahead = not mailing.status.ended and mailing.launched_at is None
    if ahead and mailing.start_at > request.now:
        told.append(Event(mailing.start_at, _("Starts"), done=False))
    if not mailing.status.ended:
        told.append(Event(mailing.end_at, _("Ends: messages that are not sent by then expire"), done=False))
    return told


def _told(event: HistoryEvent, before: MailingStatus | None, mailing: Mailing) -> str:
    if event.paused_for:
        return _("Paused automatically: %(reason)s", reason=paused_for(event.paused_for))
    if event.what is Happening.MAILING and isinstance(event.status, MailingStatus):
        return _changed(event.status, before)
    return {
        Happening.ORDERED: _("Created"),
        Happening.FIRST_SENT: _("First message sent"),
        Happening.LAST_SENT: _("Last message sent") if mailing.final else _("Latest message sent"),
    }[event.what]


def _changed(status: MailingStatus, before: MailingStatus | None) -> str:
    if status is MailingStatus.RUNNING and before is MailingStatus.FINISHED:
        return _("Reopened to retry failed messages")
    if before is MailingStatus.PAUSED and status in (MailingStatus.RUNNING, MailingStatus.SCHEDULED):
        return _("Resumed")
    return {
        MailingStatus.SCHEDULED: _("Scheduled"),
        MailingStatus.RUNNING: _("Started"),
        MailingStatus.PAUSED: _("Paused"),
        MailingStatus.FINISHED: _("Finished"),
        MailingStatus.CANCELLED: _("Cancelled"),
        MailingStatus.EXPIRED: _("Expired: its end passed before it could start"),
    }.get(status, status_name(status))
