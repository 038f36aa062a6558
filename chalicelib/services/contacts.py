"""How to reach those whom messages are for: clients of the directory, or the people of a file for one mailing only."""

from __future__ import annotations

from collections.abc import Iterable

from ..domain.clients import Contact
from ..domain.mailings import Mailing
from ..domain.messages import MessageKey
from ..storage.clients import ClientRepository
from ..storage.recipients import RecipientRepository


class Contacts:
    """Looks them up by mailing and client."""

    def __init__(self, clients: ClientRepository, recipients: RecipientRepository) -> None:
        self._clients = clients
        self._recipients = recipients

    def of(
        self, wanted: Iterable[tuple[Mailing, str]], *, consistent: bool = False, personal: bool = False
    ) -> dict[MessageKey, Contact]:
        """Those of the mailings' clients, given by their ids, who are there; see `ClientRepository.contacts`.

        A file and the clients with its numbers are always read consistently, and have language and attributes.
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
