"""Replies of the receipt queue: each is kept once, with whose it is and which message it answers, if that is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ...clock import SystemClock
from ...domain.errors import NotFound, Unavailable
from ...domain.messages import parse_message_id
from ...domain.replies import Inbound, Reply, keyword_of
from ...observability import REPLIES_RECEIVED, logger, measure
from ...storage.clients import ClientRepository
from ...storage.ledger import Ledger
from ...storage.replies import ReplyRepository
from .received import ReceiptItem


class ReplyKeeper:
    """Keeps replies. What a keyword asks for is stored with the reply; whoever is to act on it does so here."""

    def __init__(self, replies: ReplyRepository, clients: ClientRepository, ledger: Ledger, clock: SystemClock) -> None:
        self._replies = replies
        self._clients = clients
        self._ledger = ledger
        self._clock = clock

    def keep(self, told: Iterable[tuple[Inbound, ReceiptItem]], deadline: datetime) -> set[str]:
        """Keep replies, each once. Returns the items that must stay on the queue."""
        failed: set[str] = set()
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
                measure(REPLIES_RECEIVED)
        return failed

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
        """The message that it answers, if there is such a one, and it went to this number."""
        if not inbound.message_id:
            return ""
        try:
            key = parse_message_id(inbound.message_id)
        except NotFound:
            return ""
        message = self._ledger.read([key]).get(key)
        return inbound.message_id if message and message.phone_number == inbound.phone_number else ""
