"""Finding the client of a phone number. An id is made from the first number of a client, and stays when that changes.

So an import finds the client of a number, or a free id for a new client, without an index of numbers. Each number has a
chain of ids: `ids.id_for(number, 0)`, `ids.id_for(number, 1)` and so on. A client who gets the number, by being added
or by changing to it, takes the first id of the chain that has no item: for their own item, or for an alias that leads
to it. To find the number's client, follow the chain to the one who has the number now.

An item that has others behind it is never removed, because otherwise two clients could take two places of the chain at
once: aliases stay, and a client whose number ever changed leaves a mark when they are removed. So the first free id of
a chain only moves forward, writes that take it are conditional, and if two clients want the same number, one is
refused. A client whose number never changed has nothing behind them and leaves no mark: if they are added again, they
get the same id.

An installation that is older than its key has clients with ids of `unkeyed_id_for`. That chain is followed first. It
does not grow any more and ends at the first id without an item, which nobody takes. A client who is removed from it
leaves a mark that frees the id for the number's next client, because an id without an item would look like the end of
the chain.
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
    """What a number leads to: its client; else the free id for the next client, and who had the number last, if known.

    `freed`: a client had that id and was removed.
    """

    client: Client | None
    free: str = ""
    former: str = ""
    freed: bool = False


class ClientNumbers:
    """Finds clients by their numbers, and ids for new numbers. Reads are consistent.

    `ids` returns how the installation makes ids. It may raise Unavailable, and so may all methods here.
    """

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff, ids: Callable[[], ClientIds]) -> None:
        self._table = tables.clients.Meta.table_name
        self._dynamodb = dynamodb
        self._backoff = backoff
        self._ids = ids

    def is_unkeyed(self, client: Client) -> bool:
        """Whether a client whose number never changed has an id from before there was a key."""
        return self._ids().unkeyed and is_unkeyed(client)

    def likely_place(self, number: str) -> Place:
        """The likely place of a new number: a guess without a read, unless there are clients with old ids."""
        ids = self._ids()
        return self.find([number])[number] if ids.unkeyed else Place(None, ids.id_for(number))

    def find(self, numbers: Iterable[str]) -> dict[str, Place]:
        """The place of each number in E.164 form, in one batch of reads unless numbers were changed.

        Raises Conflict if a number had a hundred clients.
        """
        ids = self._ids()
        left = dict.fromkeys(numbers, "")  # with who had it last
        if not ids.unkeyed:
            return self._follow(ids.id_for, left)
        old = self._follow(unkeyed_id_for, left)
        at_the_end = {number: place.former for number, place in old.items() if not (place.client or place.freed)}
        return old | self._follow(ids.id_for, at_the_end)

    def _follow(self, id_for: Callable[[str, int], str], left: dict[str, str]) -> dict[str, Place]:
        """The places of numbers on the chains of one kind of ids. `left` has the last client who had each number."""
        found: dict[str, Place] = {}
        for generation in range(MOST_GENERATIONS):
            ids = {number: id_for(number, generation) for number in left}
            items = self._read(ids.values())
            # After the aliases, never together with them, because a change of number writes both at once.
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
