"""External ids: an item beside the clients, whose key is `ext#` and the id, leads to its client.

It is written and removed in the transaction that changes the client, on condition that nobody else has the id. No
client's id contains `#`, and the item has no key of an index, so that no list or count contains it.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any

from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.clients import Client
from .dynamodb import Item, read_items
from .models import ExternalIdModel
from .tables import Tables

_PREFIX = "ext#"


class ExternalIds:
    """External ids in the table of clients. Reads are consistent."""

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff) -> None:
        self._model: type[ExternalIdModel] = tables.external_ids
        self._table = tables.clients.Meta.table_name
        self._dynamodb = dynamodb
        self._backoff = backoff

    def owners(self, external_ids: Iterable[str]) -> dict[str, str]:
        """The ids of the clients who have these external ids, by external id."""
        keys: list[Item] = [{"client_id": {"S": _PREFIX + one}} for one in dict.fromkeys(external_ids)]
        items = read_items(self._dynamodb, self._backoff, self._table, keys, consistent=True)
        return {item["client_id"]["S"].removeprefix(_PREFIX): item["alias_of"]["S"] for item in items}

    def is_taken(self, client: Client) -> bool:
        """Whether somebody else has the client's external id."""
        owner = self.owners([client.external_id]).get(client.external_id) if client.external_id else None
        return owner is not None and owner != client.client_id

    def move(self, transaction: TransactWrite, old: Client | None, new: Client | None) -> None:
        """Let the transaction that changes a client give them their new external id, and free the old one."""
        model = self._model
        for external_id in touched(old, new):
            client_id = new.client_id if new else old.client_id if old else ""
            item = model(_PREFIX + external_id, alias_of=client_id)
            theirs = model.client_id.does_not_exist() | (model.alias_of == client_id)
            write = transaction.save if new and external_id == new.external_id else transaction.delete
            write(item, condition=theirs)


def touched(old: Client | None, new: Client | None) -> Set[str]:
    """The external ids whose items a change writes.

    A transaction must not have two actions for one id.
    """
    before, after = old.external_id if old else "", new.external_id if new else ""
    return {before, after} - {""} if before != after else set()
