"""Clients as items of their table: converts both ways.

Besides clients, the table has an item for each further tag of a client, which is only in the index by tag
(`tag_items`). Other items have no key of an index, so that no list, count or export contains them: an alias that leads
from a later number or an external id to its client (`client_numbers`, `external_ids`); the mark of a removed client
(`client_numbers`); and the key of the ids (`client_key`).
"""

from __future__ import annotations

from typing import Any

from ..domain.attributes import NONE, Attributes
from ..domain.clients import CLIENT_FIELDS, KEY_SEPARATOR, TEXT_FIELDS, Client, Contact, IndexedClient, Lost
from .dynamodb import Item
from .models import ClientModel
from .moments import from_ms, to_ms

_IN_EVERY_ROW = ("phone_number", "operator", "timezone", "opted_out")


def is_client(item: Item) -> bool:
    """Whether the item is a client, not one of the other items."""
    return "phone_number" in item


def row_of(model: type[ClientModel], client: Client) -> ClientModel:
    """The client as a row."""
    texts: dict[str, Any] = {name: getattr(client, name) or None for name in TEXT_FIELDS}
    return model(
        client.client_id,
        shard=client.shard,
        tag_key=KEY_SEPARATOR.join((client.tag, client.operator, client.client_id)),
        operator_key=KEY_SEPARATOR.join((client.operator, client.client_id)),
        **{name: getattr(client, name) for name in _IN_EVERY_ROW},
        **texts,
        tag=client.tag,
        tags=tags_text(client) or None,
        attributes=client.attributes.text or None,
        created_at=client.created_at,
        updated_at=client.updated_at,
        renumbered=client.renumbered or None,
        lost=lost_text(client) or None,
        unreachable=client.unreachable or None,
    )


def client_of(item: Item) -> Client:
    """The client of an item. Attributes that an older version did not write get their defaults."""
    # A text or a flag each.
    given: dict[str, Any] = {name: one for name in CLIENT_FIELDS if name in item for one in item[name].values()}
    if "attributes" in given:
        given["attributes"] = Attributes(given["attributes"])
    if "tags" in given:
        given["tags"] = tuple(given["tags"].split(KEY_SEPARATOR))
    elif tag := item["tag"]["S"]:
        given["tags"] = (tag,)
    return Client(
        **given,
        client_id=item["client_id"]["S"],
        created_at=from_ms(float(item["created_at"]["N"])),
        updated_at=from_ms(float(item["updated_at"]["N"])),
        renumbered="renumbered" in item,
        lost=tuple(_lost(text) for text in item["lost"]["S"].split()) if "lost" in item else (),
        unreachable="unreachable" in item,
    )


def indexed_client_of(item: Item) -> IndexedClient:
    """The fields of a client in an entry of an index."""
    key = item["tag_key"] if "tag_key" in item else item["operator_key"]
    return IndexedClient(
        client_id=item["client_id"]["S"],
        operator=key["S"].split(KEY_SEPARATOR)[-2],
        phone_number=item["phone_number"]["S"],
        timezone=item["timezone"]["S"],
        opted_out=item["opted_out"]["BOOL"],
        unreachable="unreachable" in item,
    )


def contact_of(item: Item) -> Contact:
    """The contact in an item; language and attributes are set if they were read."""
    return Contact(
        phone_number=item["phone_number"]["S"],
        timezone=item["timezone"]["S"],
        opted_out=item["opted_out"]["BOOL"],
        unreachable="unreachable" in item,
        language=item["language"]["S"] if "language" in item else "",
        attributes=Attributes(item["attributes"]["S"]) if "attributes" in item else NONE,
    )


def tags_text(client: Client) -> str:
    """All tags of a client as one text, "" if they have only one, which has its own attribute."""
    return KEY_SEPARATOR.join(client.tags) if len(client.tags) > 1 else ""


def lost_text(client: Client) -> str:
    """The messages to a client that were lost, as one text, "" if there are none."""
    return " ".join(f"{one.mailing_id}:{to_ms(one.at)}" for one in client.lost)


def _lost(text: str) -> Lost:
    mailing_id, _, at = text.partition(":")
    return Lost(mailing_id, from_ms(float(at)))
