"""Settling: the ledger of a mailing is recounted, closed when it must be, and the mailing finished."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from ..clock import SystemClock
from ..domain.clients import SHARDS
from ..domain.mailings import COUNTED, MailingState, MailingStatus
from ..domain.messages import Attempt, Message, MessageStatus, lost_attempt
from ..observability import logger
from ..storage.ledger import Ledger
from ..storage.mailings import MailingRepository

_STOP_BEFORE = timedelta(seconds=10)
_PAGE = 500


class Settler:
    """Compares counts with the ledger, which is the truth, and ends mailings."""

    def __init__(self, mailings: MailingRepository, ledger: Ledger, clock: SystemClock) -> None:
        self._mailings = mailings
        self._ledger = ledger
        self._clock = clock

    def settle(self, mailing_id: str, deadline: datetime) -> None:
        """Finish a mailing whose ledger says that nothing is open; mend its counts where they say otherwise."""
        state = self._mailings.state(mailing_id)
        mailing = state.mailing
        closing = self._closing_status(state)
        if closing is not None and not self._close(state, closing, deadline):
            return
        if closing is None and not state.statistics.settled:
            return
        recount = self._ledger.recount(mailing_id)
        state = self._mailings.state(mailing_id)
        if any(state.statistics.by_status[status] != recount[status] for status in COUNTED) or (
            state.statistics.total != recount.total()
        ):
            self._mend(state, recount)
        open_rows = sum(recount[str(status)] for status in MessageStatus if not status.terminal)
        if open_rows or not state.statistics.dispatched or mailing.status is not MailingStatus.RUNNING:
            return
        now = self._clock.now()
        if self._mailings.change(mailing, replace(mailing.moved_to(MailingStatus.FINISHED, now), finished_at=now)):
            logger.info("mailing finished", mailing_id=mailing_id, counts=dict(recount))

    def _mend(self, state: MailingState, recount: Counter[str]) -> None:
        """Only where nothing moves any more: counts that lag behind senders at work are no drift."""
        logger.warning(
            "counts mended",
            mailing_id=state.mailing.mailing_id,
            counted=state.statistics.counts(),
            recounted=dict(recount),
        )
        self._mailings.correct_counts(state, recount, self._clock.now())

    def _closing_status(self, state: MailingState) -> MessageStatus | None:
        """The status that open rows get because the mailing sends no more; None where it does."""
        if state.mailing.status is MailingStatus.CANCELLED:
            return MessageStatus.CANCELLED
        if self._clock.now() >= state.mailing.end_at:
            return MessageStatus.EXPIRED
        return None

    def _close(self, state: MailingState, status: MessageStatus, deadline: datetime) -> bool:
        """Give every open row its final status; False where some are being sent this moment, or time is up."""
        complete = True
        for shard in SHARDS:
            after = ""
            while True:
                if self._clock.now() >= deadline - _STOP_BEFORE:
                    return False
                rows, after = self._ledger.page(state.mailing.mailing_id, shard, after, _PAGE)
                complete = self._close_rows([row for row in rows if not row.status.terminal], status) and complete
                if not after:
                    break
        return complete

    def _close_rows(self, rows: list[Message], status: MessageStatus) -> bool:
        now = self._clock.now()
        changes: list[tuple[Message, Message]] = []
        busy = False
        counts: Counter[str] = Counter()
        for row in rows:
            if row.status is MessageStatus.SENDING:
                if row.lease_until and row.lease_until > now:
                    busy = True
                    continue
                attempts = (*row.attempts, lost_attempt(row, now))
            else:
                attempts = row.attempts
            changes.append((row, _closed(row, attempts, status, now)))
        applied = self._ledger.update(changes)
        for (_, new), done in zip(changes, applied, strict=True):
            if done:
                counts[str(new.status)] += 1
            else:
                busy = True
        if rows:
            self._mailings.add_counts(rows[0].mailing_id, 0, counts, now)
        return not busy

    def purge(self, mailing_id: str, deadline: datetime) -> None:
        """Remove the ledger and the parts of a deleted mailing; the tick has it done again until it is."""
        if not self._mailings.is_deleted(mailing_id):
            return
        for shard in SHARDS:
            while self._ledger.delete_page(mailing_id, shard):
                if self._clock.now() >= deadline - _STOP_BEFORE:
                    return
        self._mailings.purge(mailing_id)
        logger.info("mailing removed", mailing_id=mailing_id)


def _closed(row: Message, attempts: tuple[Attempt, ...], status: MessageStatus, now: datetime) -> Message:
    """The row as it ends without another attempt: what may have been sent is unknown, not expired or cancelled."""
    if any(attempt.outcome == "unknown" for attempt in attempts):
        return row.revised(
            now,
            status=MessageStatus.UNKNOWN,
            attempts=attempts,
            reason=attempts[-1].reason,
            lease_until=None,
            retry_at=None,
            due_at=None,
        )
    reason = "the window closed first" if status is MessageStatus.EXPIRED else "the mailing was cancelled"
    return row.revised(now, status=status, reason=reason, lease_until=None, retry_at=None, due_at=None)
