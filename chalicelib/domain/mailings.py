"""A mailing: one text for one segment of clients, in one sending window."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from .buckets import UNDIVIDED, Division
from .budgets import PausedFor, Spending
from .deadlines import APART, is_over
from .errors import Conflict, FieldError
from .excerpts import excerpt
from .faults import Fault
from .local_window import LocalWindow
from .placeholders import OPENING, check_placeholders
from .segments import Segment
from .statuses import COUNTED, TERMINAL, Action, MailingStatus, State, state_for
from .stops import Span
from .templates import TemplateLink

MAX_TEXT_LENGTH = 1600  # ten concatenated GSM-7 parts of 153 characters, rounded up; gateways refuse longer ones
MOST_PARTS = 49  # of such a text: if it is all emoji, 33 of them fit into one part
MOST_LANGUAGES = 10  # besides that of `text`: all texts together fit into an item of the table many times
MAX_RATE = 10_000  # messages a second; more than one gateway can take
LATE_AFTER = timedelta(minutes=5)  # a mailing that is launched later than this has missed its start
REDRIVING = "redriving"  # is in Mailing.reopening while single messages are put back
_LOOK_HOLDS = timedelta(minutes=10)  # how long a look at the waiting messages of a mailing is valid
MAX_HISTORY = 30  # changes of status that are kept; a mailing has few, unless somebody pauses it all day


# The error if a person may not do it. Other actions change the status, which names the step that is refused.
_REFUSED = {
    Action.SCHEDULE: Fault.MAILING_NO_DRAFT,
    Action.LAUNCH: Fault.MAILING_NOT_LAUNCHABLE,
    Action.RESUME: Fault.MAILING_NOT_RESUMABLE,
    Action.RETRY: Fault.MAILING_NOT_RETRIABLE,
    Action.DELETE: Fault.MAILING_NOT_DELETABLE,
}
_BECOMES = {
    Action.PAUSE: MailingStatus.PAUSED,
    Action.CANCEL: MailingStatus.CANCELLED,
    Action.REDRIVE: MailingStatus.RUNNING,
}


class OnUnknown(StrEnum):
    """What happens to a message whose outcome is unknown.

    retry: it is sent again. ask: the gateway is asked what became of it. hold: a person decides.
    """

    RETRY = "retry"
    ASK = "ask"
    HOLD = "hold"


class Missing(StrEnum):
    """What happens to a message whose text needs a value that the client does not have.

    The client is skipped, the text is sent with nothing in the value's place, or the message fails, so that a person
    can add the value and retry it.
    """

    SKIP = "skip"
    SEND_EMPTY = "send_empty"
    REFUSE = "refuse"


class Late(StrEnum):
    """What happens to a mailing whose start was missed: it runs late if its end has not passed, or it is skipped."""

    RUN = "run"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Mailing:
    """A mailing with its fields and its state. `revision` grows with every change."""

    mailing_id: str
    text: str
    segment: Segment
    start_at: datetime
    end_at: datetime
    status: MailingStatus
    revision: int
    created_at: datetime
    updated_at: datetime
    name: str = ""  # "" if it has none; people see `title`
    on_unknown: OnUnknown = OnUnknown.RETRY
    rate_limit: int | None = None
    created_by: str = ""
    launched_at: datetime | None = None
    finished_at: datetime | None = None
    local_window: LocalWindow | None = None
    late: Late = Late.RUN
    include_unreachable: bool = False  # whether it also goes to clients who are marked as unreachable
    texts: tuple[tuple[str, str], ...] = ()  # by language, for clients with that language; the others get `text`
    missing: Missing = Missing.SKIP
    gateway: str = ""  # that it goes to, by the name that people know; "" if routes decide
    keep_values: bool = True  # whether to keep the values of each text, so that it can be read afterwards
    template: TemplateLink | None = None  # which text and texts were copied from, as long as they are the same
    budget: Decimal | None = None  # that it may cost at the gateway, in the currency of the price list
    paused_for: PausedFor | None = None  # if the service paused it
    # Statuses of messages to put back because somebody retries them or moved the end, until the dispatcher has done it.
    # REDRIVING is in it once for each caller who puts back single messages.
    reopening: tuple[str, ...] = ()
    # The ledger's count by status when the mailing ended; from then on the running counts do not matter.
    final: tuple[tuple[str, int], ...] = ()
    # The latest changes of status with their times; the first one is its creation.
    history: tuple[tuple[datetime, MailingStatus], ...] = ()
    # When nothing could be sent though it ran, because all sending was paused; set when it has ended.
    stops: tuple[Span, ...] = ()
    # When its end was last moved to a later time after its start: messages that expired may come back.
    widened_at: datetime | None = None
    # Until when other mailings' filters refer to it, so that it must not be deleted.
    asked_until: datetime | None = None
    # How its ledger is divided; set at its launch.
    division: Division = UNDIVIDED

    def noted(self, status: MailingStatus, now: datetime) -> tuple[tuple[datetime, MailingStatus], ...]:
        """The history with one more change of status."""
        return (*self.history, (now, status))[-MAX_HISTORY:]

    @property
    def title(self) -> str:
        """Its name for people: its `name`, or the beginning of its text."""
        return self.name or excerpt(self.text)

    @property
    def personal(self) -> bool:
        """Whether clients get different texts."""
        return bool(self.texts) or OPENING in self.text

    def text_in(self, language: str) -> str:
        """The text for clients with a language such as pt-BR: the one for pt-BR, or for pt, or else `text`."""
        return self.text_by(self.language_for(language))

    def language_for(self, language: str) -> str:
        """The key of that text in `texts`, "" for `text`."""
        if not self.texts:
            return ""
        texts = dict(self.texts)
        return next((one for one in (language, language.partition("-")[0]) if texts.get(one)), "")

    def text_by(self, key: str) -> str:
        """The text with this key of `texts`, `text` for ""."""
        return dict(self.texts)[key] if key else self.text

    @property
    def state(self) -> State:
        """What may be done with it now, from the table of states."""
        return state_for(self.status, launched=self.launched_at is not None)

    def may(self, action: Action) -> bool:
        """Whether a person may do this with it now."""
        return action in self.state.actions

    def check(self, action: Action) -> None:
        """Raises Conflict if people may not do this with it now."""
        if self.may(action):
            return
        if action in _BECOMES:
            raise Conflict(Fault.MAILING_CANNOT_BECOME, old=self.status, new=_BECOMES[action])
        raise Conflict(_REFUSED[action], status=self.status)

    def moved_to(self, status: MailingStatus, now: datetime) -> Mailing:
        """The mailing in another status. Raises Conflict if that step is not allowed."""
        if status not in self.state.leads_to:
            raise Conflict(Fault.MAILING_CANNOT_BECOME, old=self.status, new=status)
        history = self.noted(status, now)
        revision = self.revision + 1
        return replace(self, status=status, revision=revision, updated_at=now, history=history, paused_for=None)

    def paused_by_service(self, why: PausedFor, now: datetime) -> Mailing:
        """The mailing paused for a reason. Raises Conflict if it cannot be paused any more."""
        return replace(self.moved_to(MailingStatus.PAUSED, now), paused_for=why)


@dataclass(frozen=True, slots=True)
class ShardProgress:
    """How far the dispatch of one of a mailing's shards has come.

    `cursor` is the place in the segment's index, "" at the start. `expanded` says that every row is in the ledger.
    `feed_cursor` is the client up to which hints were sent, `fed` says that all rows so far have hints. `counted_at` is
    when the last rows were written that `rows` counts.
    """

    shard: str
    cursor: str = ""
    expanded: bool = False
    rows: int = 0
    feed_cursor: str = ""
    fed: bool = False
    feed_round: int = 0
    owner: str = ""
    lease_until: datetime | None = None
    counted_at: datetime | None = None
    taken_over: bool = False  # from a dispatcher that stopped: it is not known whether its last rows got hints


@dataclass(frozen=True, slots=True)
class Statistics:
    """A mailing's messages, counted by status. `total` is all rows that dispatch has written."""

    total: int
    by_status: Counter[str]
    dispatched: bool

    @property
    def open(self) -> int:
        """Messages without a final status."""
        return self.total - sum(self.by_status[status] for status in TERMINAL)

    @property
    def settled(self) -> bool:
        """Whether every matching client has a row and every row a final status."""
        return self.dispatched and self.open <= 0

    def counts(self) -> dict[str, int]:
        """The count of every status; they add up to the total. Messages being sent now count as queued.

        A worker that died may have written rows without counting them, and the first rows of a shard may be sent
        before they are counted, so the open count is an estimate until the ledger is recounted.
        """
        counts = {status: max(0, self.by_status[status]) for status in COUNTED}
        counts["waiting"] = min(counts["waiting"], max(0, self.open))
        total = max(self.total, sum(counts.values()))
        return {"total": total, "queued": total - sum(counts.values()), **counts}


@dataclass(frozen=True, slots=True)
class Sleep:
    """What a look at all waiting messages of a mailing found: when the first one is due, None if there are none."""

    looked_at: datetime
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class MailingState:
    """Everything under one mailing's key, read in one query.

    Its counts are `doubtful` if a sender may have been killed before it counted what it had written.
    """

    mailing: Mailing
    shards: dict[str, ShardProgress] = field(default_factory=dict)
    statistics: Statistics = field(default_factory=lambda: Statistics(0, Counter(), False))
    progress_at: datetime | None = None
    doubtful: bool = False
    sleep: Sleep | None = None
    spent: Decimal = Decimal(0)  # of its budget, in the currency of the price list

    @property
    def spending(self) -> Spending | None:
        """Its budget and what was spent of it; None if it has no budget."""
        return None if self.mailing.budget is None else Spending(self.mailing.budget, self.spent)

    def sleeps(self, now: datetime, until: datetime) -> bool:
        """Whether no waiting message can be due by `until`, so that no look at them is needed.

        Each message that starts to wait is counted afterwards, so a look is valid until the next count, and for ten
        minutes at most.
        """
        if self.sleep is None or is_over(self.sleep.looked_at + _LOOK_HOLDS, now, _LOOK_HOLDS):
            return False
        changed_at = max(self.progress_at or self.mailing.updated_at, self.mailing.updated_at)
        if changed_at + APART >= self.sleep.looked_at:
            return False
        return self.sleep.due_at is None or self.sleep.due_at > until

    @property
    def to_feed(self) -> list[ShardProgress]:
        """The shards with rows left to feed, those that were fed least first, so that all advance together."""
        unfed = [shard for shard in self.shards.values() if shard.expanded and not shard.fed]
        return sorted(unfed, key=lambda shard: (shard.feed_cursor, shard.shard))

    @property
    def next_to_feed(self) -> ShardProgress | None:
        """The shard that has been fed least; None if all are fed."""
        return next(iter(self.to_feed), None)


def check_text(text: str, field: str = "text") -> list[FieldError]:
    """What is wrong with a mailing's text."""
    if not text.strip():
        return [FieldError(field, Fault.EMPTY)]
    if len(text) > MAX_TEXT_LENGTH:
        return [FieldError(field, Fault.TOO_LONG, {"most": MAX_TEXT_LENGTH})]
    if any(ord(character) < 32 and character not in "\n\r\t" for character in text) or "\x7f" in text:
        return [FieldError(field, Fault.CONTROL_CHARACTERS_IN_TEXT)]
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        return [FieldError(field, Fault.HALF_A_CHARACTER)]
    return check_placeholders(text, field)


def check_window(start_at: datetime, end_at: datetime, now: datetime) -> list[FieldError]:
    """What is wrong with a sending window."""
    if end_at <= start_at:
        return [FieldError("end_time", Fault.END_BEFORE_START)]
    if end_at <= now:
        return [FieldError("end_time", Fault.NOT_IN_FUTURE)]
    return []
