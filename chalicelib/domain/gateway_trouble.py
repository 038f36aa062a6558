"""When the gateway's answers mean trouble of the gateway itself, not of the messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .gateway_control import SAME_REFUSALS, GatewayControl
from .messages import Attempt, Outcome
from .reasons import Cause

REMEMBERED = 5000  # latest calls of a sender
SHARED_REFUSALS = 3  # in a row; from then on a sender notes them for the others
# How long after the gateway took a message a single answer about the account is not believed.
_ENOUGH = 10  # calls; with fewer, their share of refusals means little
_TRUSTED_FOR = timedelta(seconds=60)


@dataclass(slots=True)
class Run:
    """What one sender has seen in a row.

    `troubled` are messages in trouble since the last answer, `refused` are messages that were refused with the same
    answer since the gateway last took one.
    """

    troubled: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    refusal: Cause | None = None
    # The times of calls, and whether they were taken; only calls that were accepted or got "too many".
    answers: deque[tuple[datetime, bool]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    accepted_at: datetime | None = None

    def __copy__(self) -> Run:
        return Run(set(self.troubled), set(self.refused), self.refusal)

    def taken_before(self, moment: datetime) -> tuple[int, float]:
        """How many messages the gateway took in the second before a moment, and their share of all calls.

        With very few calls the share means little, so it is computed as if there were ten.
        """
        taken = [accepted for at, accepted in self.answers if moment - timedelta(seconds=1) < at <= moment]
        refused = len(taken) - sum(taken)
        return sum(taken), 1 - refused / max(_ENOUGH, len(taken))

    def add(self, attempts: Sequence[tuple[str, Attempt]]) -> tuple[int, bool]:
        """Add attempts.

        Returns the largest number of messages in a row that were in trouble, and whether the gateway said that it takes
        nothing from this account and has not taken anything lately.
        """
        longest, blocked = 0, False
        for message, attempt in attempts:
            match attempt.outcome:
                case Outcome.ACCEPTED:
                    self.forget()
                    self.answers.append((attempt.at, True))
                    self.accepted_at = attempt.at
                case Outcome.REFUSED:
                    self.troubled.clear()
                    if attempt.cause != self.refusal:
                        self.refused, self.refusal = set(), attempt.cause
                    self.refused.add(message)
                case Outcome.THROTTLED:  # it works, and is busy
                    self.answers.append((attempt.at, False))
                case _:
                    self.troubled.add(message)
                    if attempt.outcome is Outcome.BLOCKED:
                        blocked = blocked or self.accepted_at is None or attempt.at - self.accepted_at > _TRUSTED_FOR
            longest = max(longest, len(self.troubled))
        return longest, blocked

    def forget(self) -> None:
        """Forget all that was seen."""
        self.troubled, self.refused, self.refusal = set(), set(), None


@dataclass(slots=True)
class Trip:
    """What a sender has seen, to be merged into the shared control; so senders with few messages add up what they see.

    `certain` opens the circuit at once. Otherwise several different messages must fail: one message that the gateway
    never takes is no sign of trouble. While the circuit is open only a probe counts: calls that were under way when it
    opened fail too, in each batch of each sender, and an outage of a second would count many times.
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
        troubled = self.run.troubled | (set() if self.accepted else set(control.troubled))
        same = not self.accepted and control.refusal == self.run.refusal
        refused = self.run.refused | (set(control.refused) if same else set())
        refusal = self.run.refusal if refused else None
        by_refusals = len(refused) >= SAME_REFUSALS or bool(control.open and refusal and refusal == control.refusal)
        if not (self.certain or by_refusals or len(troubled) >= self.threshold):
            if len(refused) < SHARED_REFUSALS:
                refused, refusal = set(), None
            if (troubled, refused) == (set(control.troubled), set(control.refused)):
                return None
            return control.noting(troubled, refused, refusal)
        self.opened = True
        self.put_back = tuple(sorted(refused)) if by_refusals else ()
        wish = max((attempt.retry_after or 0.0 for _, attempt in self.attempts), default=0.0)
        last = self._last()
        return control.tripped(
            self.now, wish, last.cause if last else None, last.words if last else "", refusal if by_refusals else None
        )

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
