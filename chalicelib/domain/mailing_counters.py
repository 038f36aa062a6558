"""The counters of a mailing, and which of them count a message.

They save statistics from reading the ledger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from .deliveries import is_of_delivery
from .messages import Message
from .reasons import Cause, Reason
from .statuses import COUNTED, IN_TROUBLE, MessageStatus

SEPARATOR = "|"  # between the parts of a counter's name; the counter of a status has the status as its name
# The work of sending so far, for a mailing's cost: write units of the ledger, hints, messages of hints, milliseconds of
# senders.
WRITES, HINTS, LOOKS, MILLISECONDS = (SEPARATOR.join(("work", name)) for name in ("writes", "hints", "looks", "ms"))
# How often traces of a killed sender were found, whose last batch may not be counted.
DOUBTS = SEPARATOR.join(("work", "doubts"))
WORK = frozenset({WRITES, HINTS, LOOKS, MILLISECONDS, DOUBTS})
# Messages that were sent again after the gateway may have taken them.
REPEATED = SEPARATOR.join(("repeated", "all"))
_PARTS = "parts"
# Messages that ended in each of the last minutes, for the current rate. Earlier minutes are removed.
LATELY = "n"
_LATELY_KEPT = 2  # minutes
_HOUR = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_CAUSE = Cause(Reason.OTHER)
# The width of a period, and how long after a row was written it is used: counters for each minute of a year would not
# fit into an item, and few are needed to see how a mailing went. Names are short because a write of over 1 KB costs a
# second unit.
_WIDTHS = {"m": timedelta(minutes=1), "t": timedelta(minutes=10), "hour": _HOUR, "day": timedelta(days=1)}
_UNTIL = {"m": timedelta(minutes=30), "t": timedelta(hours=3), "hour": timedelta(days=7), "day": timedelta.max}


def counters_of(message: Message) -> list[str]:
    """The names of the counters that a row of the ledger is counted in; mostly none for an open row."""
    if message.status not in COUNTED:
        return []
    repeated = [REPEATED] if message.may_be_twice else []
    if message.status is MessageStatus.SENT:
        return ["sent", _period_of(message), *repeated, *_parts_of(message)]
    cause = message.cause.counted if message.cause else _NO_CAUSE
    names = [str(message.status), SEPARATOR.join(("reason", message.status, str(cause)))]
    if message.status in IN_TROUBLE:
        names.append(SEPARATOR.join((_period_of(message), message.status)))
    return names + repeated


def _period_of(message: Message) -> str:
    """The minute, ten minutes, hour or day in which it was sent or given up."""
    at = message.sent_at or message.updated_at
    kind = next(kind for kind, until in _UNTIL.items() if at - message.created_at < until)
    return SEPARATOR.join((kind, str((at - _EPOCH) // _WIDTHS[kind])))


def _parts_of(message: Message) -> list[str]:
    """The counter of its day's SMS parts, once for each part; none if everybody gets the same text."""
    if not message.parts:
        return []
    day = ((message.sent_at or message.updated_at) - _EPOCH) // _WIDTHS["day"]
    return [SEPARATOR.join((_PARTS, str(day)))] * message.parts


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """How a mailing went: messages that were sent, failed or became unknown, by the start of each period of `width`.

    Periods in which nothing happened are left out.
    """

    width: timedelta
    periods: Mapping[datetime, Counter[str]]


@dataclass(frozen=True, slots=True)
class MailingCounters:
    """A mailing's counters. The times are exact once it has finished, and off by a batch's duration while it runs."""

    by_name: Counter[str] = field(default_factory=Counter)
    first_sent_at: datetime | None = None
    last_sent_at: datetime | None = None

    @property
    def by_status(self) -> Counter[str]:
        return Counter({name: count for name, count in self.by_name.items() if SEPARATOR not in name})

    @property
    def by_cause(self) -> Mapping[tuple[MessageStatus, Cause], int]:
        """How many messages have a status for a cause, of those that were not sent.

        A cause may have two counters, one by its code and one by an older version's sentence: a message that was
        counted in one may be subtracted in the other.
        """
        causes: Counter[tuple[MessageStatus, Cause]] = Counter()
        for name, count in self.by_name.items():
            kind, *parts = name.split(SEPARATOR)
            if kind == "reason":
                causes[MessageStatus(parts[0]), (Cause.parse(parts[1]) or _NO_CAUSE).counted] += count
        return +causes

    @property
    def maybe_twice(self) -> int:
        """How many messages were sent again after the gateway may have taken them.

        It sends these twice, unless it recognises their ids.
        """
        return self.by_name[REPEATED]

    @property
    def by_hour(self) -> Mapping[datetime, int]:
        """Messages sent in each hour, by its start.

        Later than a week after the mailing's start, in each day.
        """
        hours: Counter[datetime] = Counter()
        for kind, at, status, count in self._periods():
            if status == MessageStatus.SENT:
                hours[at if kind == "day" else _floor(at, _HOUR)] += count
        return hours

    def parts_by_day(self, each: int | None) -> Mapping[date, int]:
        """The SMS parts that were sent on each day (UTC).

        `each` is the parts of a text that everybody gets, else None.
        """
        days: Counter[date] = Counter()
        if each is not None:
            for at, count in self.by_hour.items():
                days[at.date()] += count * each
            return days
        for name, count in self.by_name.items():
            kind, _, day = name.partition(SEPARATOR)
            if kind == _PARTS:
                days[(_EPOCH + int(day) * _WIDTHS["day"]).date()] += count
        return +days

    @property
    def time_series(self) -> TimeSeries:
        """How the mailing went, in the finest periods that all of it was counted in."""
        counted = list(self._periods())
        width = max((_WIDTHS[kind] for kind, *_ in counted), default=_WIDTHS["m"])
        periods: defaultdict[datetime, Counter[str]] = defaultdict(Counter)
        for _, at, status, count in counted:
            periods[_floor(at, width)][status] += count
        return TimeSeries(width, dict(sorted(periods.items())))

    def _periods(self) -> Iterator[tuple[str, datetime, str, int]]:
        for name, count in self.by_name.items():
            kind, *parts = name.split(SEPARATOR)
            if kind in _WIDTHS and count > 0:
                status = parts[1] if len(parts) > 1 else str(MessageStatus.SENT)
                yield kind, _EPOCH + int(parts[0]) * _WIDTHS[kind], status, count

    @property
    def work(self) -> Counter[str]:
        """The work of sending so far."""
        return Counter({name: self.by_name[name] for name in WORK})

    @property
    def deliveries(self) -> Counter[str]:
        """What receipts told about the deliveries."""
        return Counter({name: count for name, count in self.by_name.items() if is_of_delivery(name)})

    @property
    def lately(self) -> Mapping[datetime, int]:
        """How many messages were sent, failed or became unknown in each of the last minutes."""
        return {
            _EPOCH + int(name.partition(SEPARATOR)[2]) * _WIDTHS["m"]: count
            for name, count in self.by_name.items()
            if name.startswith(LATELY + SEPARATOR)
        }


def lately_of(changes: Counter[str], now: datetime) -> tuple[Counter[str], list[str]]:
    """What changes of counters add to the counters of the last minutes, and the names of counters that are too old."""
    minute = (now - _EPOCH) // _WIDTHS["m"]
    ended = sum(max(0, changes[name]) for name in ("sent", *IN_TROUBLE))
    old = [f"{LATELY}{SEPARATOR}{minute - back}" for back in range(_LATELY_KEPT, 2 * _LATELY_KEPT)]
    return (Counter({f"{LATELY}{SEPARATOR}{minute}": ended}), old) if ended else (Counter(), [])


def _floor(at: datetime, width: timedelta) -> datetime:
    return _EPOCH + (at - _EPOCH) // width * width
