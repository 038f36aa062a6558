"""Which client has a phone number. An id is made from the number a client is added with, and stays when that changes.

So an import finds the client of a number, and a free id for a new one, by reading and without an index of numbers. Each
number has a chain of ids: `ids.id_for(number, 0)`, `ids.id_for(number, 1)` and so on. Whoever comes to have the
number, by being added or by changing to it, takes the first id of the chain that has no item: with their own item, or
with an alias that leads to it. The number's client is found by going along the chain to whoever has the number now.

An item that was ever passed by never goes away, or somebody could take its place while another takes the one behind it:
aliases stay, and a client whose number was ever changed leaves a mark when they are removed. So the first free id of a
chain only moves on, the writes that take it are conditional, and of two who want the same number one is refused. A
client whose number never changed was passed by nobody and leaves nothing: added again, they get the same id.

An installation that is older than its key has clients with ids of `unkeyed_id_for`. That chain is gone along first, and
it is closed: it ends at the first id without an item, which nobody takes any more. Who is removed from it leaves a mark
that frees their id for the number's next one, since an id without an item could not be told from its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..clock import Backoff
from ..domain.client_ids import MOST_GENERATIONS, ClientIds, unkeyed_id_for
from ..domain.clients import Client
from ..domain.errors import Conflict
from ..domain.faults import Fault
from .client_key import is_unkeyed
from .client_rows import client_of, is_client
from .dynamodb import Item, read_items
from .tables import Tables


@dataclass(frozen=True, slots=True)
class Place:
    """What a number leads to: its client; else the id that is free for the next one, and who had it last, if known.

    `freed`: somebody had that id, and was removed.
    """

    client: Client | None
    free: str = ""
    former: str = ""
    freed: bool = False


class ClientNumbers:
    """Finds clients by their numbers, and ids for new numbers. Consistent: the answer holds until the next write.

    `ids` answers what ids the installation's clients have; it may raise Unavailable, and so may everything here.
    """

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff, ids: Callable[[], ClientIds]) -> None:
        self._table = tables.clients.Meta.table_name
        self._dynamodb = dynamodb
        self._backoff = backoff
        self._ids = ids

    def is_unkeyed(self, client: Client) -> bool:
        """Whether a client, whose number never changed, has an id from before there was a key."""
        return self._ids().unkeyed and is_unkeyed(client)

    def likely_place(self, number: str) -> Place:
        """Where somebody new most likely belongs: a guess without a read, unless there are clients with old ids."""
        ids = self._ids()
        return self.find([number])[number] if ids.unkeyed else Place(None, ids.id_for(number))

    def find(self, numbers: Iterable[str]) -> dict[str, Place]:
        """The place of each number in E.164 form, in one batch of reads unless somebody's number was changed.

        Raises Conflict if a number has changed hands a hundred times.
        """
        ids = self._ids()
        left = dict.fromkeys(numbers, "")  # with who had it last
        if not ids.unkeyed:
            return self._follow(ids.id_for, left)
        old = self._follow(unkeyed_id_for, left)
        at_the_end = {number: place.former for number, place in old.items() if not (place.client or place.freed)}
        return old | self._follow(ids.id_for, at_the_end)

    def _follow(self, id_for: Callable[[str, int], str], left: dict[str, str]) -> dict[str, Place]:
        """The places of numbers, each with who had it last, on the chains of one kind of ids."""
        found: dict[str, Place] = {}
        for generation in range(MOST_GENERATIONS):
            ids = {number: id_for(number, generation) for number in left}
            items = self._read(ids.values())
            # After their aliases, never with them: whoever changes to a number writes both at once.
            owners = self._read(item["alias_of"]["S"] for item in items.values() if "alias_of" in item)
            following: dict[str, str] = {}
            for number, former in left.items():
                item = items.get(ids[number])
                owner = owners.get(item["alias_of"]["S"]) if item and "alias_of" in item else item
                if item is None:
                    found[number] = Place(None, ids[number], former)
                elif "freed" in item:
                    found[number] = Place(None, ids[number], ids[number], freed=True)
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
