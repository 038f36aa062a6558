"""How clients are laid out in their table: from items to what they say and back.

Besides clients it holds two kinds of items without any key of an index, so that no list, count or export has them: an
alias, where somebody's number is looked for that they were not added with, and what keeps the place of somebody who is
gone and whose number had changed (`client_numbers`).
"""

from __future__ import annotations

from ..domain.clients import KEY_SEPARATOR, Client
from .dynamodb import Item
from .models import ClientModel, from_ms


def is_client(item: Item) -> bool:
    """Whether the item is a client, and none of the others."""
    return "phone_number" in item


def row_of(model: type[ClientModel], client: Client) -> ClientModel:
    """The client as a row."""
    return model(
        client.client_id,
        shard=client.shard,
        tag_key=KEY_SEPARATOR.join((client.tag, client.operator, client.client_id)),
        operator_key=KEY_SEPARATOR.join((client.operator, client.client_id)),
        phone_number=client.phone_number,
        operator=client.operator,
        tag=client.tag,
        timezone=client.timezone,
        opted_out=client.opted_out,
        created_at=client.created_at,
        updated_at=client.updated_at,
        renumbered=client.renumbered or None,
    )


def client_of(item: Item) -> Client:
    """The client of an item."""
    return Client(
        item["client_id"]["S"],
        item["phone_number"]["S"],
        item["operator"]["S"],
        item["tag"]["S"],
        item["timezone"]["S"],
        item["opted_out"]["BOOL"],
        from_ms(float(item["created_at"]["N"])),
        from_ms(float(item["updated_at"]["N"])),
        "renumbered" in item,
    )
