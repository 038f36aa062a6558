"""The ledger as people read it."""

from __future__ import annotations

import builtins

from ..domain.clients import SHARDS
from ..domain.messages import Message, MessageStatus
from ..storage.ledger import Ledger

_PAGES = 5  # of the ledger that one request reads at most, however few of its rows have the wanted status


class MessageService:
    """Read messages."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def get(self, message_id: str) -> Message:
        """The message of that id; NotFound where there is none."""
        return self._ledger.get(message_id)

    def list(self, mailing_id: str, status: MessageStatus | None, cursor: str, limit: int) -> tuple[list[Message], str]:
        """Up to `limit` messages of a mailing and the next cursor, "" at the end.

        With a status the page may be short, or empty, before the end: a request reads a bounded part of the ledger.
        """
        if status in (MessageStatus.FAILED, MessageStatus.UNKNOWN):
            return self._trouble(mailing_id, status, cursor, limit)
        shard, _, after = (cursor or f"{SHARDS[0]}|").partition("|")
        place = SHARDS.index(shard)
        found: list[Message] = []
        reads = 0
        while place < len(SHARDS):
            if reads >= len(SHARDS) + _PAGES or len(found) >= limit:
                return found, f"{SHARDS[place]}|{after}"
            wanted = limit - len(found) if status is None else limit
            messages, after = self._ledger.page(mailing_id, SHARDS[place], after, wanted)
            reads += 1
            for message in messages:
                if status is None or message.status is status:
                    found.append(message)
                    if len(found) == limit and message is not messages[-1]:
                        return found, f"{SHARDS[place]}|{message.client_id}"
            if not after:
                place += 1
        return found, ""

    def _trouble(self, mailing_id: str, status: MessageStatus, cursor: str, limit: int) -> tuple[builtins.list[Message], str]:
        found: builtins.list[Message] = []
        after = cursor
        for _ in range(_PAGES):
            messages, after = self._ledger.trouble_page(mailing_id, after, limit)
            for message in messages:
                if message.status is status:
                    found.append(message)
                    if len(found) == limit and message is not messages[-1]:
                        return found, message.client_id
            if not after or len(found) >= limit:
                break
        return found, after
