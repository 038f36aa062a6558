"""What somebody types to find something: a phone number, or an id. A number is turned into an id at once."""

from __future__ import annotations

from ..domain.clients import client_id_for, is_client_id, normalize_phone
from ..domain.errors import Invalid, NotFound
from ..domain.mailings import is_mailing_id
from ..domain.messages import parse_message_id
from .texts import _

FIELD = "sought"


def client_of(sought: str) -> str:
    """The client that a number, its own id or a message's id belongs to; Invalid where it is none of these."""
    if is_client_id(sought.lower()):
        return sought.lower()
    if is_message_id(sought):
        return parse_message_id(sought)[1]
    try:
        return client_id_for(normalize_phone(sought))
    except Invalid as error:
        raise Invalid.of(FIELD, _("is neither a phone number, such as +79161234567, nor an id")) from error


def place_of(sought: str) -> str:
    """The page of the message of that id, or of the messages of that mailing, client or number; Invalid as above."""
    if is_message_id(sought):
        return f"/admin/messages/{sought}"
    if is_mailing_id(sought):
        return f"/admin/messages?mailing={sought.upper()}"
    return f"/admin/messages?client={client_of(sought)}"


def is_message_id(text: str) -> bool:
    """Whether the text could be the id of a message."""
    try:
        parse_message_id(text)
    except NotFound:
        return False
    return True
