"""Searches by phone number or id. Numbers are turned into ids at once."""

from __future__ import annotations

from ..domain.client_ids import is_client_id
from ..domain.errors import Invalid, NotFound
from ..domain.faults import Fault
from ..domain.mailing_ids import is_mailing_id
from ..domain.messages import parse_message_id
from ..services.clients import ClientService
from .texts import _

FIELD = "sought"


def client_of(clients: ClientService, sought: str) -> str:
    """The client that a number, an external id, their own id or a message's id belongs to.

    If several clients could be meant, the one who has the number comes before the one with the external id. Raises
    Invalid if it is none of these.
    """
    if is_message_id(sought):
        return parse_message_id(sought)[1]
    try:
        client_id, client = clients.find(sought)
    except Invalid:
        client_id, client = sought.lower() if is_client_id(sought.lower()) else "", None
    if client is None and (known := clients.find_external(sought)):
        return known.client_id
    if not client_id:
        raise Invalid.of(FIELD, Fault.AS_TOLD, text=_("is neither a phone number such as +79161234567 nor an ID"))
    return client_id


def place_of(clients: ClientService, sought: str) -> str:
    """The page of a message by id, or of the messages of a mailing or client. Raises Invalid as `client_of` does."""
    if is_message_id(sought):
        return f"/admin/messages/{sought}"
    if is_mailing_id(sought):
        return f"/admin/messages?mailing={sought.upper()}"
    return f"/admin/messages?client={client_of(clients, sought)}"


def is_message_id(text: str) -> bool:
    """Whether the text could be the id of a message."""
    try:
        parse_message_id(text)
    except NotFound:
        return False
    return True
