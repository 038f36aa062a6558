"""Messages: the ledger for people to read."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..domain.client_ids import is_client_id
from ..domain.errors import Invalid, Malformed, NotFound
from ..domain.faults import Fault
from ..domain.history import Step, steps_of
from ..domain.mailing_ids import is_mailing_id
from ..domain.mailings import Mailing
from ..domain.messages import Message, MessageKey, gateway_id_for
from ..domain.sent_texts import NoText, text_sent
from ..domain.statuses import MessageStatus
from ..gateways.base import Outgoing
from ..storage.ledger import Ledger
from ..storage.mailings import MailingRepository
from .gateways import Gateways

_PAGES = 5  # pages of the ledger that one request reads at most, however few rows have the wanted status
_MAILINGS_WALKED = 10  # mailings that a request without a mailing reads
_MAILINGS_ASKED = 100  # mailings that a request for a client's messages reads: one batch of reads


@dataclass(frozen=True, slots=True)
class MessagePage:
    """A page of messages. `total` is None if counting would be too slow; `cursor` is "" at the end.

    `mailings` has the mailings of the rows by id, except those that were deleted since.
    """

    rows: list[Message]
    cursor: str
    total: int | None
    mailings: Mapping[str, Mailing] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A page of a client's messages, each with its mailing. `cursor` is "" at the end."""

    entries: list[tuple[Mailing, Message]]
    cursor: str


@dataclass(frozen=True, slots=True)
class MessageDetail:
    """Everything known about one message. `request` is the request to the gateway, without secrets."""

    message: Message
    mailing: Mailing
    gateway_id: int
    steps: tuple[Step, ...]
    request: str
    text: str | NoText  # as it was sent


class MessageService:
    """Read messages."""

    def __init__(self, ledger: Ledger, mailings: MailingRepository, gateways: Gateways) -> None:
        self._ledger = ledger
        self._mailings = mailings
        self._gateways = gateways

    def get(self, message_id: str) -> Message:
        """The message with this id. Raises NotFound if there is none."""
        return self._ledger.get(message_id)

    def detail(self, message_id: str) -> MessageDetail:
        """Everything known about the message with this id. Raises NotFound if there is none."""
        message = self._ledger.get(message_id)
        mailing = self._mailings.get(message.mailing_id)
        gateway_id = gateway_id_for(message_id)
        text = text_sent(mailing, message)
        shown = mailing.text if isinstance(text, NoText) else text
        request = self._gateways.of(message, mailing).shown_request(
            Outgoing.of(message_id, message.phone_number, shown)
        )
        return MessageDetail(
            message=message,
            mailing=mailing,
            gateway_id=gateway_id,
            steps=steps_of(message),
            request=request,
            text=text,
        )

    def of(self, wanted: Iterable[MessageKey]) -> dict[MessageKey, Message]:
        """The messages with these keys, as far as they exist."""
        return self._ledger.read(wanted)

    def search(
        self, mailing_id: str | None, client_id: str | None, status: MessageStatus | None, cursor: str, limit: int
    ) -> MessagePage:
        """Up to `limit` messages of a mailing, a client and a status, all of them optional.

        The page may be short, or empty, before the end: a request reads a bounded part of the ledger.
        """
        if mailing_id is not None and not is_mailing_id(mailing_id):
            raise Invalid.of("mailing", Fault.NO_ID_OF_A_MAILING)
        if client_id is not None and not is_client_id(client_id):
            raise Invalid.of("client", Fault.NO_ID_OF_A_CLIENT)
        if mailing_id is not None and client_id is not None:
            found = self._ledger.read([(mailing_id, client_id)])
            rows = [message for message in found.values() if status in (None, message.status)]
            return MessagePage(rows, "", len(rows), self._known(mailing_id))
        if mailing_id is not None:
            rows, following = self.list(mailing_id, status, cursor, limit)
            total, mailings = self._total(mailing_id, status)
            return MessagePage(rows, following, total, mailings)
        if client_id is not None:
            history = self.history(client_id, status, cursor, limit)
            known = {mailing.mailing_id: mailing for mailing, _ in history.entries}
            return MessagePage([message for _, message in history.entries], history.cursor, None, known)
        return self._of_all(status, cursor, limit)

    def _total(self, mailing_id: str, status: MessageStatus | None) -> tuple[int | None, dict[str, Mailing]]:
        """How many messages of a mailing have the status, and the mailing by its id, in one read."""
        try:
            state = self._mailings.state(mailing_id)
        except NotFound:
            return 0, {}
        counts = state.statistics.counts()
        return counts["total"] if status is None else counts.get(status), {mailing_id: state.mailing}

    def _known(self, mailing_id: str) -> dict[str, Mailing]:
        """The mailing by its id; empty if there is none."""
        try:
            return {mailing_id: self._mailings.get(mailing_id)}
        except NotFound:
            return {}

    def list(self, mailing_id: str, status: MessageStatus | None, cursor: str, limit: int) -> tuple[list[Message], str]:
        """Up to `limit` messages of a mailing and the next cursor, "" at the end. A page may be short."""
        if status is not None and status.in_trouble:
            return self._trouble(mailing_id, status, cursor, limit)
        shards = self._ledger.shards(mailing_id)
        shard, _, after = (cursor or f"{shards[0]}|").partition("|")
        if shard not in shards or not (after == "" or is_client_id(after)):
            raise Malformed(Fault.CURSOR_OF_ANOTHER_LIST)
        place = shards.index(shard)
        found: list[Message] = []
        reads = 0
        while place < len(shards):
            if reads >= len(shards) + _PAGES or len(found) >= limit:
                return found, f"{shards[place]}|{after}"
            wanted = limit - len(found) if status is None else limit
            messages, after = self._ledger.page(mailing_id, shards[place], after, wanted)
            reads += 1
            for message in messages:
                if status is None or message.status is status:
                    found.append(message)
                    if len(found) == limit and message is not messages[-1]:
                        return found, f"{shards[place]}|{message.client_id}"
            if not after:
                place += 1
        return found, ""

    def _trouble(
        self, mailing_id: str, status: MessageStatus, cursor: str, limit: int
    ) -> tuple[builtins.list[Message], str]:
        if cursor and not is_client_id(cursor):
            raise Malformed(Fault.CURSOR_OF_ANOTHER_LIST)
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

    def troubled(self, mailing_id: str, limit: int) -> builtins.list[Message]:
        """Up to `limit` messages of a mailing that failed or whose outcome is unknown."""
        return self._ledger.trouble_page(mailing_id, "", limit)[0]

    def history(self, client_id: str, status: MessageStatus | None, cursor: str, limit: int) -> HistoryPage:
        """Up to `limit` messages to a client with their mailings, the newest mailing first.

        It reads the client's row in each of 100 mailings, because an index would make every write more expensive. The
        page may be short, or empty, before the end.
        """
        after = (_checked(cursor), 0) if cursor else None
        mailings, following = self._mailings.lists.list(None, after, _MAILINGS_ASKED)
        asked = [mailing for mailing in mailings if mailing.launched_at is not None]
        found = self._ledger.read([(mailing.mailing_id, client_id) for mailing in asked])
        entries: builtins.list[tuple[Mailing, Message]] = []
        for mailing in asked:
            message = found.get((mailing.mailing_id, client_id))
            if message is None or status not in (None, message.status):
                continue
            entries.append((mailing, message))
            if len(entries) == limit:
                last = following is None and mailing is asked[-1]
                return HistoryPage(entries, "" if last else mailing.mailing_id)
        return HistoryPage(entries, following[0] if following else "")

    def _of_all(self, status: MessageStatus | None, cursor: str, limit: int) -> MessagePage:
        """Messages of all mailings, the newest mailing first.

        The cursor is a mailing and the place in it, "" if it is finished.
        """
        mailing_id, _, inner = cursor.partition("/")
        rows: builtins.list[Message] = []
        known: dict[str, Mailing] = {}
        if inner:
            rows, inner = self.list(_checked(mailing_id), status, inner, limit)
            known = self._known(mailing_id)
            if inner:
                return MessagePage(rows, f"{mailing_id}/{inner}", None, known)
        after = (_checked(mailing_id), 0) if mailing_id else None
        mailings, following = self._mailings.lists.list(None, after, _MAILINGS_WALKED)
        known |= {mailing.mailing_id: mailing for mailing in mailings}
        for mailing in mailings:
            if len(rows) >= limit:
                return MessagePage(rows, f"{mailing_id}/", None, known)
            mailing_id = mailing.mailing_id
            if mailing.launched_at is not None:
                more, inner = self.list(mailing_id, status, "", limit - len(rows))
                rows += more
                if inner:
                    return MessagePage(rows, f"{mailing_id}/{inner}", None, known)
        return MessagePage(rows, f"{following[0]}/" if following else "", None, known)


def _checked(mailing_id: str) -> str:
    if not is_mailing_id(mailing_id):
        raise Malformed(Fault.CURSOR_OF_ANOTHER_LIST)
    return mailing_id
