"""Messages as rows of lists, with the important moment, and names of clients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ..domain.mailings import Mailing
from ..domain.messages import Message
from ..domain.reasons import Cause
from ..domain.statuses import MessageStatus
from ..services.clients import ClientService
from .formats import number
from .texts import _, status_name


@dataclass(frozen=True, slots=True)
class Row:
    """A message, with its mailing if the list has several."""

    message: Message
    mailing: Mailing | None = None

    @property
    def phone(self) -> str:
        return self.message.phone_number

    @property
    def status(self) -> str:
        """Its status, or its delivery if there is a receipt."""
        told = self.message.delivery
        return told.status if told else self.message.status

    @property
    def cause(self) -> Cause | None:
        """Why it has its status."""
        told = self.message.delivery
        return told.cause if told else self.message.cause

    @property
    def at(self) -> datetime:
        """When it got its status."""
        told = self.message.delivery
        return told.at if told else self.message.sent_at or self.message.updated_at


def number_of(clients: ClientService, client_id: str) -> str:
    """The phone number of a client, or a word that says that they were deleted."""
    found = clients.get_many([client_id]).get(client_id)
    return found.phone_number if found else _("a deleted client")


def rows_of(messages: Iterable[Message]) -> list[Row]:
    """The rows of one mailing's messages."""
    return [Row(message) for message in messages]


def named_statuses(counts: Mapping[str, int] | None = None) -> list[tuple[str, str]]:
    """The statuses to choose from, with their names, and with their counts if known."""
    named = [(str(status), status_name(status)) for status in MessageStatus]
    if counts is None:
        return named
    return [(status, f"{name} ({number(counts[status])})" if status in counts else name) for status, name in named]
