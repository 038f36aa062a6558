"""Histories, read from the tables with a bounded number of reads."""

from __future__ import annotations

from itertools import chain

from ..domain.audit import AuditEntry, AuditObject
from ..domain.client_ids import is_client_id
from ..domain.errors import NotFound
from ..domain.history import Happening, History, client_events, mailing_events, message_events, with_acts
from ..domain.mailing_ids import is_mailing_id
from ..domain.messages import parse_message_id
from ..storage.audit import AuditLog
from ..storage.clients import ClientRepository
from ..storage.mailings import MailingRepository
from .messages import MessageService

SHOWN = 50  # messages of a mailing, or of a client
ACTS = 200  # of users
_DISPATCH = (Happening.WRITTEN,)  # the same for all of a mailing's messages


class HistoryService:
    """Reads the history of a mailing, a message or a client."""

    def __init__(
        self, mailings: MailingRepository, clients: ClientRepository, messages: MessageService, audit: AuditLog
    ) -> None:
        self._audit = audit
        self._mailings = mailings
        self._clients = clients
        self._messages = messages

    def of(self, about: str, *, messages: bool = True) -> History:
        """The history of a mailing, a message or a client. Raises NotFound if the id is none of them.

        Without `messages`, the history of a mailing has only events of the mailing itself.
        """
        if is_mailing_id(about):
            return self._of_mailing(about, messages)
        if is_client_id(about):
            return self._of_client(about)
        return self._of_message(about)

    def _of_mailing(self, mailing_id: str, messages: bool) -> History:
        """The mailing with its messages, failed ones first if there are many."""
        state, counters = self._mailings.detail(mailing_id)
        own = with_acts(mailing_events(state.mailing, counters), self._acts(AuditObject.MAILING, mailing_id))
        if not messages:
            return History.of("mailing", own)
        rows, more = self._messages.list(mailing_id, None, "", SHOWN)
        troubled = self._messages.troubled(mailing_id, SHOWN) if more else []
        shown = list({row.client_id: row for row in (*troubled, *rows)}.values())[:SHOWN]
        events = [event for message in shown for event in message_events(message) if event.what not in _DISPATCH]
        events += own
        return History.of("mailing", events, complete=len(shown) >= state.statistics.counts()["total"])

    def _of_message(self, message_id: str) -> History:
        mailing_id, _ = parse_message_id(message_id)
        message = self._messages.get(message_id)
        mailing = with_acts(mailing_events(self._mailings.get(mailing_id)), self._acts(AuditObject.MAILING, mailing_id))
        return History.of("message", chain(mailing, message_events(message)))

    def _acts(self, kind: AuditObject, object_id: str) -> list[AuditEntry]:
        return self._audit.of(kind, object_id, ACTS)

    def _of_client(self, client_id: str) -> History:
        """The client with their messages, which remain after the client is deleted."""
        page = self._messages.search(None, client_id, None, "", SHOWN)
        acts = self._acts(AuditObject.CLIENT, client_id)
        try:
            client = [*client_events(self._clients.get(client_id))]
        except NotFound:
            if not page.rows and not acts:
                raise
            client = []
        return History.of(
            "client", chain(with_acts(client, acts), *map(message_events, page.rows)), complete=not page.cursor
        )
