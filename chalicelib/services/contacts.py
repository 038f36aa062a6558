"""Contacts: how to reach the people of messages, who are clients or in a file for one mailing."""

from __future__ import annotations

from collections.abc import Iterable

from ..domain.clients import Contact
from ..domain.mailings import Mailing
from ..domain.messages import MessageKey
from ..storage.clients import ClientRepository
from ..storage.recipients import RecipientRepository


class Contacts:
    """Looks up contacts by mailing and client."""

    def __init__(self, clients: ClientRepository, recipients: RecipientRepository) -> None:
        self._clients = clients
        self._recipients = recipients

    def of(
        self, wanted: Iterable[tuple[Mailing, str]], *, consistent: bool = False, personal: bool = False
    ) -> dict[MessageKey, Contact]:
        """The contacts of mailings' clients, given by ids, as far as they exist; see `ClientRepository.contacts`.

        For people in a file, language and attributes are always included, and reads are consistent.
        """
        by_file: dict[str, list[MessageKey]] = {}
        for mailing, client_id in wanted:
            by_file.setdefault(mailing.segment.recipients, []).append((mailing.mailing_id, client_id))
        found: dict[MessageKey, Contact] = {}
        for file_id, keys in by_file.items():
            ids = [client_id for _, client_id in keys]
            contacts = (
                self._recipients.contacts(file_id, ids)
                if file_id
                else self._clients.contacts(ids, consistent, personal=personal)
            )
            found |= {key: contacts[key[1]] for key in keys if key[1] in contacts}
        return found
