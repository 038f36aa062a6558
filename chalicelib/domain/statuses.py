"""The statuses of mailings and messages, and what may be done in each: two tables that all other code reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What a person can do with a mailing.

    Changing its fields is not one of them; `State.fields` says which can be changed.
    """

    SCHEDULE = "schedule"
    LAUNCH = "launch"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"  # all its failed messages
    REDRIVE = "redrive"  # single messages that failed
    DELETE = "delete"


class Stage(StrEnum):
    """How far a mailing has come: it has not started, is under way, or has ended."""

    AHEAD = "ahead"
    UNDER_WAY = "under way"
    ENDED = "ended"


class MailingStatus(StrEnum):
    """The state of a mailing."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def stage(self) -> Stage:
        return STATES[self].stage

    @property
    def ended(self) -> bool:
        return self.stage is Stage.ENDED


@dataclass(frozen=True, slots=True)
class State:
    """A row of the table of mailings.

    `actions` are what people may do, the most likely first. `fields` are the attributes that they may change.
    `leads_to` are the statuses that may follow. `expands` says whether rows are still written for its clients.
    """

    stage: Stage
    actions: tuple[Action, ...] = ()
    fields: frozenset[str] = frozenset()
    leads_to: frozenset[MailingStatus] = frozenset()
    expands: bool = False


ALL_FIELDS = frozenset(
    {
        "name",
        "text",
        "segment",
        "start_at",
        "end_at",
        "local_window",
        "rate_limit",
        "on_unknown",
        "late",
        "include_unreachable",
        "texts",
        "missing",
        "gateway",
        "template",
        "keep_values",
        "budget",
    }
)

# Text and segment of a started mailing cannot be changed, because some clients have got it already. The end of a
# finished one can be moved, so that it can be retried. After cancelling, rows are still written for everybody who
# matches, so that it is known who did not get it.
STATES: Mapping[MailingStatus, State] = {
    MailingStatus.DRAFT: State(
        Stage.AHEAD,
        actions=(Action.SCHEDULE, Action.LAUNCH, Action.DELETE),
        fields=ALL_FIELDS,
        leads_to=frozenset({MailingStatus.SCHEDULED}),
    ),
    MailingStatus.SCHEDULED: State(
        Stage.AHEAD,
        actions=(Action.LAUNCH, Action.PAUSE, Action.CANCEL, Action.DELETE),
        fields=ALL_FIELDS,
        leads_to=frozenset(
            {MailingStatus.RUNNING, MailingStatus.PAUSED, MailingStatus.CANCELLED, MailingStatus.EXPIRED}
        ),
    ),
    MailingStatus.RUNNING: State(
        Stage.UNDER_WAY,
        actions=(Action.PAUSE, Action.CANCEL, Action.REDRIVE),
        fields=frozenset({"name", "end_at", "rate_limit", "budget"}),
        leads_to=frozenset({MailingStatus.FINISHED, MailingStatus.PAUSED, MailingStatus.CANCELLED}),
        expands=True,
    ),
    MailingStatus.PAUSED: State(
        Stage.UNDER_WAY,
        actions=(Action.RESUME, Action.CANCEL, Action.REDRIVE),
        fields=frozenset({"name", "end_at", "rate_limit", "on_unknown", "budget"}),
        leads_to=frozenset(
            {
                MailingStatus.SCHEDULED,
                MailingStatus.RUNNING,
                MailingStatus.CANCELLED,
                MailingStatus.EXPIRED,
                MailingStatus.FINISHED,
            }
        ),
        expands=True,
    ),
    MailingStatus.FINISHED: State(
        Stage.ENDED,
        actions=(Action.RETRY, Action.REDRIVE, Action.DELETE),
        fields=frozenset({"end_at", "budget"}),
        leads_to=frozenset({MailingStatus.RUNNING}),  # retrying failed messages opens it again
    ),
    MailingStatus.CANCELLED: State(Stage.ENDED, actions=(Action.DELETE,), expands=True),
    MailingStatus.EXPIRED: State(Stage.ENDED, actions=(Action.DELETE,)),
}

# The rows that are different for mailings that were not launched.
NOT_LAUNCHED: Mapping[MailingStatus, State] = {
    MailingStatus.PAUSED: State(
        Stage.UNDER_WAY,
        actions=(Action.RESUME, Action.CANCEL, Action.DELETE),
        fields=ALL_FIELDS,
        leads_to=STATES[MailingStatus.PAUSED].leads_to,
        expands=True,
    )
}

UNDER_WAY = tuple(status for status, state in STATES.items() if state.stage is Stage.UNDER_WAY)


def state_for(status: MailingStatus, *, launched: bool) -> State:
    """The row of the table for a mailing with this status, launched or not."""
    return STATES[status] if launched else NOT_LAUNCHED.get(status, STATES[status])


class MessageStatus(StrEnum):
    """The state of a message."""

    QUEUED = "queued"
    SENDING = "sending"
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def terminal(self) -> bool:
        return MESSAGE_STATES[self].terminal

    @property
    def in_trouble(self) -> bool:
        return MESSAGE_STATES[self].in_trouble

    @property
    def unreached(self) -> bool:
        return MESSAGE_STATES[self].unreached


@dataclass(frozen=True, slots=True)
class MessageState:
    """A row of the table of messages.

    `terminal`: the service does nothing more for it. `in_trouble`: a person may want to retry it. `unreached`: the
    client did not get it, or perhaps not, for a reason that a person should see.
    """

    terminal: bool = True
    in_trouble: bool = False
    unreached: bool = False


MESSAGE_STATES: Mapping[MessageStatus, MessageState] = {
    MessageStatus.QUEUED: MessageState(terminal=False),
    MessageStatus.SENDING: MessageState(terminal=False),
    MessageStatus.WAITING: MessageState(terminal=False),
    MessageStatus.SENT: MessageState(),
    MessageStatus.FAILED: MessageState(in_trouble=True, unreached=True),
    MessageStatus.UNKNOWN: MessageState(in_trouble=True, unreached=True),
    MessageStatus.EXPIRED: MessageState(unreached=True),
    MessageStatus.CANCELLED: MessageState(),
    MessageStatus.SKIPPED: MessageState(),
}
TERMINAL: tuple[str, ...] = tuple(str(status) for status in MessageStatus if status.terminal)
IN_TROUBLE = frozenset(status for status in MessageStatus if status.in_trouble)
# The statuses that a mailing has counters for. A message being sent counts as queued, and queued is the rest.
COUNTED: tuple[str, ...] = (*TERMINAL, str(MessageStatus.WAITING))
