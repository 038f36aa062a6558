"""When the gateway's answers mean trouble of the gateway itself, not of the messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .deadlines import is_over
from .gateway_control import PROBE_LEASE, SAME_REFUSALS, GatewayControl, TroubledCall
from .messages import Attempt, Outcome
from .reasons import Cause

REMEMBERED = 5000  # latest calls of a sender
# In a row, that say something about the gateway: of one that fails 4 of 10 calls so many in a row fail once in 1.5
# million, of one that fails 9 of 10 within 39 (docs/decisions/0016-when-the-circuit-opens.md).
CALLS_IN_A_ROW = 15
# After the first call in trouble that a sender tells the others: whoever has an answer by then knows, and says so.
KNOWN_AFTER = timedelta(seconds=2)
SHARED_REFUSALS = 3  # in a row; from then on a sender notes them for the others
# How long after the gateway took a message a single answer about the account is not believed.
_ENOUGH = 10  # calls; with fewer, their share of refusals means little
_TRUSTED_FOR = timedelta(seconds=60)


def is_outage(calls: Collection[TroubledCall], threshold: int) -> bool:
    """Whether calls in a row that failed, and their messages, are so many that it is the gateway."""
    return len(calls) >= max(CALLS_IN_A_ROW, threshold) and len({call.message for call in calls}) >= threshold


@dataclass(slots=True)
class Run:
    """What one sender has seen in a row.

    `troubled` are calls in trouble that began after the latest one that was answered, `refused` are messages that were
    refused with the same answer since the gateway last took one.

    A row is in the order in which calls began: of calls at the same time those that fail by taking too long end last.
    """

    troubled: set[TroubledCall] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    refusal: Cause | None = None
    answered_at: datetime | None = None  # when the latest call began that was taken or refused
    # The times of calls, and whether they were taken; only calls that were accepted or got "too many".
    answers: deque[tuple[datetime, bool]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    accepted_at: datetime | None = None

    def __copy__(self) -> Run:
        return Run(set(self.troubled), set(self.refused), self.refusal, self.answered_at)

    def taken_before(self, moment: datetime) -> tuple[int, float]:
        """How many messages the gateway took in the second before a moment, and their share of all calls.

        With very few calls the share means little, so it is computed as if there were ten.
        """
        taken = [accepted for at, accepted in self.answers if moment - timedelta(seconds=1) < at <= moment]
        refused = len(taken) - sum(taken)
        return sum(taken), 1 - refused / max(_ENOUGH, len(taken))

    def add(self, attempts: Sequence[tuple[str, Attempt]], threshold: int) -> tuple[bool, bool]:
        """Add attempts.

        Returns whether at any moment so many calls in a row were in trouble that it is the gateway, and whether it said
        that it takes nothing from this account and has not taken anything lately.
        """
        outage, blocked = False, False
        for message, attempt in attempts:
            match attempt.outcome:
                case Outcome.ACCEPTED:
                    self._answered(attempt.at)
                    self.refused, self.refusal = set(), None
                    self.answers.append((attempt.at, True))
                    self.accepted_at = attempt.at
                case Outcome.REFUSED:
                    self._answered(attempt.at)
                    if attempt.cause != self.refusal:
                        self.refused, self.refusal = set(), attempt.cause
                    self.refused.add(message)
                case Outcome.THROTTLED:  # it works, and is busy
                    self.answers.append((attempt.at, False))
                case _:
                    if self._is_latest(attempt.at):
                        self.troubled.add(TroubledCall(attempt.at, message))
                    if attempt.outcome is Outcome.BLOCKED:
                        blocked = blocked or self.accepted_at is None or attempt.at - self.accepted_at > _TRUSTED_FOR
            outage = outage or is_outage(self.troubled, threshold)
        return outage, blocked

    def _is_latest(self, began: datetime) -> bool:
        """Whether no call that began then or later was answered."""
        return began != self.answered_at and is_over(self.answered_at, began, PROBE_LEASE)

    def _answered(self, began: datetime) -> None:
        self.troubled = {call for call in self.troubled if call.at > began}
        if self._is_latest(began):
            self.answered_at = began

    def forget(self) -> None:
        """Forget all that was seen."""
        self.troubled, self.refused, self.refusal = set(), set(), None


@dataclass(slots=True)
class Trip:
    """What becomes of the shared control by what a sender has seen; senders that see few calls put it together.

    `certain` opens the circuit at once. Of what is put together only calls count that began KNOWN_AFTER the first of
    them: until then others may have had answers that they did not tell, for telling each would cost a write. If the
    circuit is open, only a probe says anything new: what was under way when it was opened fails too, in each batch of
    each sender, and an outage of a second would count as many.
    """

    run: Run
    certain: bool
    probed: bool
    threshold: int
    accepted: bool
    now: datetime
    attempts: Sequence[tuple[str, Attempt]]
    opened: bool = False
    put_back: tuple[str, ...] = ()

    def after(self, control: GatewayControl) -> GatewayControl | None:
        """The control that follows from this one, None if it stays."""
        self.opened, self.put_back = False, ()
        if control.held or (control.open and not self.probed) or self._is_old(control):
            return None
        troubled = self._together(control)
        same = not self.accepted and control.refusal == self.run.refusal
        refused = self.run.refused | (set(control.refused) if same else set())
        refusal = self.run.refusal if refused else None
        by_refusals = len(refused) >= SAME_REFUSALS or bool(control.open and refusal and refusal == control.refusal)
        known = [call for call in troubled if call.at > troubled[0].at + KNOWN_AFTER]
        if not (self.certain or by_refusals or is_outage(known, self.threshold)):
            if len(refused) < SHARED_REFUSALS:
                refused, refusal = set(), None
            if (tuple(troubled), refused) == (control.troubled, set(control.refused)):
                return None
            return control.noting(troubled, refused, refusal)
        self.opened = True
        self.put_back = tuple(sorted(refused)) if by_refusals else ()
        wish = max((attempt.retry_after or 0.0 for _, attempt in self.attempts), default=0.0)
        last = self._last()
        return control.tripped(
            self.now, wish, last.cause if last else None, last.words if last else "", refusal if by_refusals else None
        )

    def _together(self, control: GatewayControl) -> list[TroubledCall]:
        """The calls in trouble that this sender and others have seen, in their order: the first, and enough others."""
        answered_at = self.run.answered_at
        shared = {call for call in control.troubled if answered_at is None or call.at > answered_at}
        calls = sorted(self.run.troubled | shared)
        return [*calls[:1], *calls[1:][-2 * max(CALLS_IN_A_ROW, self.threshold) :]]

    def _is_old(self, control: GatewayControl) -> bool:
        """Whether all of it happened before the circuit was last closed, so that it is known already."""
        closed_at = control.changed_at
        return not self.probed and closed_at is not None and all(one.at <= closed_at for _, one in self.attempts)

    def _last(self) -> Attempt | None:
        """The last attempt that was not taken."""
        return next(
            (attempt for _, attempt in reversed(self.attempts) if attempt.outcome is not Outcome.ACCEPTED), None
        )


def is_refusal(attempt: Attempt, refusal: Cause) -> bool:
    """Whether an attempt was refused with that answer."""
    return attempt.outcome is Outcome.REFUSED and attempt.cause == refusal
