"""Further tags of clients: an item for each, in the index by tag only.

A client's own item is in that index with their first tag. These items only hold the client's other places in it. They
are written and removed in the transaction that changes the client; the index may lag behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pynamodb.transactions import TransactWrite

from ..domain.clients import KEY_SEPARATOR, Client, IndexedClient
from .client_rows import indexed_client_of, is_client
from .dynamodb import Item
from .models import TagItemModel

_MARK = "#tag#"  # between a client's id and their tag


class IndexEntry(NamedTuple):
    """An entry of an index. For a further tag, `client` is None until the client is read."""

    client_id: str
    operator: str
    client: Client | IndexedClient | None


def index_entry_of(item: Item) -> IndexEntry:
    """The entry of an index item."""
    if is_client(item):
        client = indexed_client_of(item)
        return IndexEntry(client.client_id, client.operator, client)
    _, operator, client_id = item["tag_key"]["S"].split(KEY_SEPARATOR)
    return IndexEntry(client_id, operator, None)


def changes_of(old: Client | None, new: Client | None) -> tuple[Sequence[str], Mapping[str, str]]:
    """The keys of items to remove when a client changes, and those to write with their places."""
    before, after = _items(old), _items(new)
    gone = [key for key in before if key not in after]
    return gone, {key: place for key, place in after.items() if before.get(key) != place}


def write(transaction: TransactWrite, model: type[TagItemModel], old: Client | None, new: Client | None) -> None:
    """Let the transaction that changes a client change the items of their further tags; see `changes_of`."""
    gone, written = changes_of(old, new)
    for key in gone:
        transaction.delete(model(key))
    for key, place in written.items():
        transaction.save(model(key, shard=new.shard if new else "", tag_key=place))


def _items(client: Client | None) -> dict[str, str]:
    if client is None:
        return {}
    return {
        f"{client.client_id}{_MARK}{tag}": KEY_SEPARATOR.join((tag, client.operator, client.client_id))
        for tag in client.tags[1:]
    }
