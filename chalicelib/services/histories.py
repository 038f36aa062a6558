"""Histories, read from the tables: a bounded number of reads, whatever is asked for."""

from __future__ import annotations

from itertools import chain

from ..domain.client_ids import is_client_id
from ..domain.errors import NotFound
from ..domain.history import Happening, History, client_events, mailing_events, message_events
from ..domain.mailings import is_mailing_id
from ..domain.messages import parse_message_id
from ..storage.clients import ClientRepository
from ..storage.mailings import MailingRepository
from .messages import MessageService

SHOWN = 50  # messages of a mailing, or of a client
_DISPATCH = (Happening.WRITTEN,)  # what is the same for all of a mailing's messages


class HistoryService:
    """Reads the history of a mailing, a message or a client."""

    def __init__(self, mailings: MailingRepository, clients: ClientRepository, messages: MessageService) -> None:
        self._mailings = mailings
        self._clients = clients
        self._messages = messages

    def of(self, about: str) -> History:
        """The history of a mailing, a message or a client. Raises NotFound if the id is none of them."""
        if is_mailing_id(about):
            return self._of_mailing(about)
        if is_client_id(about):
            return self._of_client(about)
        return self._of_message(about)

    def _of_mailing(self, mailing_id: str) -> History:
        """The mailing with its messages, or the failed ones first if there are many."""
        state, tally = self._mailings.detail(mailing_id)
        rows, more = self._messages.list(mailing_id, None, "", SHOWN)
        troubled = self._messages.troubled(mailing_id, SHOWN) if more else []
        shown = list({row.client_id: row for row in (*troubled, *rows)}.values())[:SHOWN]
        events = [event for message in shown for event in message_events(message) if event.what not in _DISPATCH]
        events += mailing_events(state.mailing, tally)
        return History.of("mailing", events, complete=len(shown) >= state.statistics.counts()["total"])

    def _of_message(self, message_id: str) -> History:
        mailing_id, _ = parse_message_id(message_id)
        message = self._messages.get(message_id)
        return History.of("message", chain(mailing_events(self._mailings.get(mailing_id)), message_events(message)))

    def _of_client(self, client_id: str) -> History:
        """A deleted client's messages are still there."""
        page = self._messages.search(None, client_id, None, "", SHOWN)
        try:
            client = [*client_events(self._clients.get(client_id))]
        except NotFound:
            if not page.rows:
                raise
            client = []
        return History.of("client", chain(client, *map(message_events, page.rows)), complete=not page.cursor)
