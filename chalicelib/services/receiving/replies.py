"""Replies from the receipt queue: stores each once, with its client and the message that it answers, if known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from ...clock import SystemClock
from ...domain.call_totals import CallTotals
from ...domain.errors import NotFound, Unavailable
from ...domain.messages import parse_message_id
from ...domain.replies import MOST_A_MINUTE, Inbound, Reply, keyword_of
from ...observability import REPLIES_RECEIVED, logger, measure
from ...storage.call_totals import CallTotalsRepository
from ...storage.clients import ClientRepository
from ...storage.ledger import Ledger
from ...storage.replies import ReplyRepository
from .received import ReceiptItem


class ReplyKeeper:
    """Stores replies, with the keyword in them. Code that acts on keywords would belong here."""

    def __init__(
        self,
        *,
        replies: ReplyRepository,
        clients: ClientRepository,
        ledger: Ledger,
        totals: CallTotalsRepository,
        clock: SystemClock,
    ) -> None:
        self._replies = replies
        self._clients = clients
        self._ledger = ledger
        self._totals = totals
        self._clock = clock

    def keep(self, told: Sequence[tuple[Inbound, ReceiptItem]], deadline: datetime) -> set[str]:
        """Store replies, each once. Returns the items that must stay on the queue.

        Replies of a gateway beyond `MOST_A_MINUTE` are dropped.
        """
        if not told:
            return set()
        try:
            admitted = self._admitted(told)
        except Unavailable as error:
            logger.warning("replies not kept, will be retried", error=str(error), count=len(told))
            return {item.item for _, item in told}
        kept, failed = self._add(admitted, deadline)
        self._count(kept, len(told) - len(admitted))
        return failed

    def _admitted(self, told: Sequence[tuple[Inbound, ReceiptItem]]) -> list[tuple[Inbound, ReceiptItem]]:
        now, wanted = self._clock.now(), Counter(inbound.gateway for inbound, _ in told)
        left = {name: self._replies.admit(name, count, MOST_A_MINUTE, now) for name, count in wanted.items()}
        admitted: list[tuple[Inbound, ReceiptItem]] = []
        for inbound, item in told:
            if left[inbound.gateway] > 0:
                left[inbound.gateway] -= 1
                admitted.append((inbound, item))
        return admitted

    def _count(self, kept: int, dropped: int) -> None:
        if dropped:
            logger.warning("too many replies in this minute, dropped", count=dropped)
        try:
            if kept or dropped:
                self._totals.add(CallTotals.of_replies(kept, dropped))
        except Unavailable as error:
            logger.warning("replies not counted", error=str(error), count=kept)

    def _add(self, told: Iterable[tuple[Inbound, ReceiptItem]], deadline: datetime) -> tuple[int, set[str]]:
        """How many replies are new, and the items that must stay on the queue."""
        kept, failed = 0, set[str]()
        for inbound, item in told:
            if item.item in failed:
                continue
            if self._clock.now() >= deadline:
                failed.add(item.item)
                continue
            try:
                new = self._replies.add(self._reply(inbound))
            except Unavailable as error:
                logger.warning("reply not kept, will be retried", error=str(error), item=item.item)
                failed.add(item.item)
                continue
            if new:
                kept += 1
                measure(REPLIES_RECEIVED)
        return kept, failed

    def _reply(self, inbound: Inbound) -> Reply:
        client = self._clients.find(inbound.phone_number).client
        return Reply(
            reply_id=inbound.reply_id,
            gateway=inbound.gateway,
            phone_number=inbound.phone_number,
            text=inbound.text,
            to=inbound.to,
            at=inbound.at,
            received_at=self._clock.now(),
            keyword=keyword_of(inbound.text),
            client_id=client.client_id if client else "",
            message_id=self._answered(inbound),
        )

    def _answered(self, inbound: Inbound) -> str:
        """The message that it answers, if that exists and went to this number."""
        if not inbound.message_id:
            return ""
        try:
            key = parse_message_id(inbound.message_id)
        except NotFound:
            return ""
        message = self._ledger.read([key]).get(key)
        return inbound.message_id if message and message.phone_number == inbound.phone_number else ""
