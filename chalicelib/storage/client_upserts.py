"""Adding and changing many clients by their numbers: in transactions, and counted the same if it is repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.clients import OPTIONAL_FIELDS, Client, in_place_of_row
from ..domain.errors import Unavailable
from .client_numbers import ClientNumbers, Place
from .dynamodb import TRIES
from .segments import Change, moves_of

# May add one action of its own to the transaction that makes these changes.
Also = Callable[[TransactWrite, Sequence[Change]], None]
_ACTIONS = 100  # in a transaction; DynamoDB takes no more
_AT_ONCE = 100  # clients that are read and changed together


class ClientUpserts:
    """Adds and changes clients by their numbers; `write` makes a group of changes, or none of them."""

    def __init__(self, numbers: ClientNumbers, write: Callable[..., bool], backoff: Backoff) -> None:
        self._numbers = numbers
        self._write = write
        self._backoff = backoff

    def upsert(
        self, clients: Sequence[Client], given: Mapping[str, frozenset[str]], allow_opt_in: bool, also: Also | None
    ) -> Counter[str]:
        """Add or change so many clients, each in the list once; the answer counts created, changed, unchanged.

        By phone number, `given` says which fields of an existing client change; all if it says nothing. Without
        `allow_opt_in` whoever has opted out stays so, which is counted as opt_outs_kept if the row says otherwise.

        What has these clients' own times already counts as created or changed, so that a repeat after a crash answers
        the same. Raises Unavailable if others change the same clients again and again meanwhile.
        """
        result: Counter[str] = Counter()
        for start in range(0, len(clients), _AT_ONCE):
            result += self._upsert_some(clients[start : start + _AT_ONCE], given, allow_opt_in, also)
        return result

    def expected(
        self, clients: Sequence[Client], given: Mapping[str, frozenset[str]], allow_opt_in: bool
    ) -> Counter[str]:
        """What `upsert` would count, and how many it would opt out and in again. Nothing is written."""
        result: Counter[str] = Counter()
        for start in range(0, len(clients), _AT_ONCE):
            some = {client.phone_number: client for client in clients[start : start + _AT_ONCE]}
            places = self._numbers.find(some)
            for number, client in some.items():
                names = given.get(number, OPTIONAL_FIELDS)
                old, new = _change(client, places[number], names, allow_opt_in)
                same = old is not None and replace(new, updated_at=old.updated_at) == old
                result["unchanged" if same else "changed" if old else "created"] += 1
                result["opted_out"] += new.opted_out and not (old and old.opted_out)
                result["opted_in_again"] += bool(old and old.opted_out and not new.opted_out)
                result["opt_outs_kept"] += bool(old and new.opted_out and not client.opted_out and "opted_out" in names)
        return result

    def _upsert_some(
        self, clients: Sequence[Client], given: Mapping[str, frozenset[str]], allow_opt_in: bool, also: Also | None
    ) -> Counter[str]:
        left = {client.phone_number: client for client in clients}
        result: Counter[str] = Counter()
        kept: set[str] = set()
        for tries in range(1, TRIES + 1):
            places = self._numbers.find(left)
            changes: list[Change] = []
            for number, client in left.items():
                names = given.get(number, OPTIONAL_FIELDS)
                old, new = _change(client, places[number], names, allow_opt_in)
                if old and new.opted_out and not client.opted_out and "opted_out" in names:
                    kept.add(number)
                if old and replace(new, updated_at=old.updated_at) == old:
                    result[_came_about(old, client)] += 1
                else:
                    changes.append((old, new))
            refused: list[str] = []
            for group in _transactions(changes):
                if self._write(group, also=also):
                    result.update("changed" if old else "created" for old, _ in group)
                else:
                    refused += [new.phone_number for _, new in group if new]
            if not refused:
                result["opt_outs_kept"] += len(kept)
                return result
            left = {number: left[number] for number in refused}
            self._backoff.wait(tries)
        raise Unavailable("the clients are being changed by others; try again")


def _change(client: Client, place: Place, given: frozenset[str], allow_opt_in: bool) -> tuple[Client | None, Client]:
    """Who has the client's number now, and what becomes of them."""
    if place.client:
        return place.client, in_place_of_row(client, place.client, given, allow_opt_in=allow_opt_in)
    return None, replace(client, client_id=place.free)


def _transactions(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """The changes in groups that fit a transaction each.

    Every client is an action, every counter that moves, the note in the log, and what somebody may add.
    """
    group: list[Change] = []
    counters: set[str] = set()
    for change in changes:
        touched = moves_of([change], "").names()
        if len(group) + 3 + len(counters | touched) > _ACTIONS:
            yield group
            group, counters = [], set()
        group.append(change)
        counters |= touched
    if group:
        yield group


def _came_about(old: Client, client: Client) -> str:
    """What made a client what it is already: these very changes, or others before them."""
    if old.created_at == client.created_at:
        return "created"
    return "changed" if old.updated_at == client.updated_at else "unchanged"
