"""Which client has a phone number. An id is made from the number a client is added with, and stays when that changes.

So an import finds the client of a number, and a free id for a new one, by reading and without an index of numbers. Each
number has a chain of ids: `client_id_for(number, 0)`, `client_id_for(number, 1)` and so on. Whoever comes to have the
number, by being added or by changing to it, takes the first id of the chain that has no item: with their own item, or
with an alias that leads to it. The number's client is found by going along the chain to whoever has the number now.

An item that was ever passed by never goes away, or somebody could take its place while another takes the one behind it:
aliases stay, and a client whose number was ever changed leaves a mark when they are removed. So the first free id of a
chain only moves on, the writes that take it are conditional, and of two who want the same number one is refused. A
client whose number never changed was passed by nobody and leaves nothing: added again, they get the same id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..clock import Backoff
from ..domain.clients import Client, client_id_for
from ..domain.errors import Conflict
from ..domain.faults import Fault
from .client_rows import client_of, is_client
from .dynamodb import Item, read_items
from .models import Tables

_LONGEST = 100  # chain; one id more for each time that somebody changed to the number


@dataclass(frozen=True, slots=True)
class Place:
    """What a number leads to: its client; else the id that is free for the next one, and who had it last, if known."""

    client: Client | None
    free: str = ""
    former: str = ""


class ClientNumbers:
    """Finds clients by their numbers, and ids for new numbers. Consistent: the answer holds until the next write."""

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff) -> None:
        self._table = tables.clients.Meta.table_name
        self._dynamodb = dynamodb
        self._backoff = backoff

    def find(self, numbers: Iterable[str]) -> dict[str, Place]:
        """The place of each number in E.164 form, in one batch of reads unless somebody's number was changed.

        Raises Conflict if a number has changed hands a hundred times.
        """
        found: dict[str, Place] = {}
        left = dict.fromkeys(numbers, "")  # with who had it last
        for generation in range(_LONGEST):
            ids = {number: client_id_for(number, generation) for number in left}
            items = self._read(ids.values())
            # After their aliases, never with them: whoever changes to a number writes both at once.
            owners = self._read(item["alias_of"]["S"] for item in items.values() if "alias_of" in item)
            following: dict[str, str] = {}
            for number, former in left.items():
                item = items.get(ids[number])
                owner = owners.get(item["alias_of"]["S"]) if item and "alias_of" in item else item
                if item is None:
                    found[number] = Place(None, ids[number], former)
                elif owner and is_client(owner) and owner["phone_number"]["S"] == number:
                    found[number] = Place(client_of(owner))
                else:
                    following[number] = item["alias_of"]["S"] if "alias_of" in item else ids[number]
            if not following:
                return found
            left = following
        raise Conflict(Fault.PHONE_NUMBER_WORN_OUT)

    def _read(self, ids: Iterable[str]) -> dict[str, Item]:
        keys: list[Item] = [{"client_id": {"S": client_id}} for client_id in dict.fromkeys(ids)]
        items = read_items(self._dynamodb, self._backoff, self._table, keys, consistent=True)
        return {item["client_id"]["S"]: item for item in items}
