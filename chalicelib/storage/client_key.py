"""The key of the clients' ids: a secret of each installation, made once and never changed.

It is stored in the table of clients, so that clients and key stay together in a backup, a restore, or a table that a
new stack adopts. Without the key nobody would be found by their number, and an import would add everybody again.
Whoever can read the table can read the numbers anyway; the key protects them from people who find an id in a log or
link.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from ..clock import Backoff
from ..domain.client_ids import MOST_GENERATIONS, ClientIds, unkeyed_id_for
from ..domain.clients import Client
from ..domain.errors import Unavailable
from ..domain.segments import Segment
from .client_lists import ClientLists
from .dynamodb import Item, read_items, translated
from .tables import Tables

PLACE = "key"  # shorter than any client's id
_BYTES = 32
_LOOK = 100  # clients


class ClientKey:
    """The key in DynamoDB: each process reads it once, and the first one that needs it makes it."""

    def __init__(
        self, tables: Tables, dynamodb: Any, backoff: Backoff, lists: ClientLists, ids: ClientIds | None = None
    ) -> None:
        self._table = tables.clients.Meta.table_name
        self._dynamodb = dynamodb
        self._backoff = backoff
        self._lists = lists
        self._ids = ids

    def ids(self) -> ClientIds:
        """The ids made with the key. Raises Unavailable if it cannot be read, or is damaged or lost."""
        if self._ids is None:
            self._ids = self._read() or self._make()
        return self._ids

    def _read(self) -> ClientIds | None:
        key: Item = {"client_id": {"S": PLACE}}
        items = list(read_items(self._dynamodb, self._backoff, self._table, [key], consistent=True))
        return ids_of(items[0]) if items else None

    def _make(self) -> ClientIds:
        """Make the key. If several processes do so at once, one succeeds and all use its key."""
        some, _ = self._lists.list(Segment(), "", _LOOK)
        if _are_keyed(some):
            raise Unavailable("clients: the key of their ids is lost; restore its item from a backup of the table")
        item: Item = {
            "client_id": {"S": PLACE},
            "id_key": {"S": secrets.token_hex(_BYTES)},
            "unkeyed": {"BOOL": bool(some)},
        }
        with translated("clients"):
            try:
                self._dynamodb.put_item(
                    TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(client_id)"
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
        made = self._read()
        if made is None:
            raise Unavailable("clients: the key of their ids is gone again")
        return made


def ids_of(item: Item) -> ClientIds:
    """The ids made with the item's key. Raises Unavailable if it holds no key."""
    try:
        return ClientIds(bytes.fromhex(item["id_key"]["S"]), item["unkeyed"]["BOOL"])
    except (KeyError, ValueError) as error:
        raise Unavailable("clients: the key of their ids is damaged; restore its item from a backup") from error


def _are_keyed(clients: Sequence[Client]) -> bool:
    """Whether these clients' ids were made with a key, as far as their current numbers show."""
    for client in clients:
        if not client.renumbered:
            return not is_unkeyed(client)
    return False


def is_unkeyed(client: Client) -> bool:
    """Whether the id of a client whose number never changed was made without a key."""
    chain = (unkeyed_id_for(client.phone_number, generation) for generation in range(MOST_GENERATIONS))
    return client.client_id in chain
