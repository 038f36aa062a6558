"""Adding and changing many clients by their numbers, in transactions; a repeat gives the same counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.clients import OPTIONAL_FIELDS, Client, ClientFields, in_place_of_row, kept_client, sharing_its_id
from ..domain.errors import FieldError, Invalid, Unavailable
from ..domain.faults import Fault
from ..domain.tags import check_tags
from . import external_ids
from .client_numbers import ClientNumbers, Place
from .dynamodb import TRIES
from .external_ids import ExternalIds
from .segments import Change, moves_of
from .tag_items import changes_of

# A function that may add an action to the transaction that makes these changes.
Also = Callable[[TransactWrite, Sequence[Change]], None]
_ACTIONS = 100  # in a transaction; DynamoDB's limit
_AT_ONCE = 100  # clients that are read and changed together
_TAKEN = FieldError("external_id", Fault.EXTERNAL_ID_OF_ANOTHER)


class Upserted(Counter[str]):
    """How many clients were created, changed and so on.

    `refused` has the rows that were left out and why, by number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused: dict[str, FieldError] = {}


@dataclass(frozen=True, slots=True)
class Rows:
    """Options for rows, by their phone numbers.

    `given` has the fields of an existing client that change; all if it has no entry. Without `allow_opt_in`, clients
    who have opted out stay opted out. Rows in `sharing` are added without their external id if another client has it,
    instead of being left out. If `add_tag` is not empty, all get this tag too; clients without room for it are left
    out.
    """

    given: Mapping[str, frozenset[str]]
    allow_opt_in: bool
    sharing: Set[str]
    add_tag: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """The change for a row: the client who has its number (None if nobody) and their new state.

    With a `fault` the row is left out, except for an opt-out.
    """

    row: Client
    old: Client | None
    new: Client | None
    fault: FieldError | None = None
    opt_out_kept: bool = False

    @property
    def changes_nothing(self) -> bool:
        if self.old is None or self.new is None:
            return self.new is None
        return replace(self.new, updated_at=self.old.updated_at) == self.old


class ClientUpserts:
    """Adds and changes clients by their numbers. `write` makes all of a group of changes, or none."""

    def __init__(
        self, numbers: ClientNumbers, external_ids: ExternalIds, write: Callable[..., bool], backoff: Backoff
    ) -> None:
        self._numbers = numbers
        self._external_ids = external_ids
        self._write = write
        self._backoff = backoff

    def upsert(self, clients: Sequence[Client], rows: Rows, also: Also | None) -> Upserted:
        """Add or change clients, each once in the list. Returns counts of created, changed and unchanged ones.

        Clients who stay opted out although the row says otherwise count as opt_outs_kept. A row whose external id
        belongs to another client only opts out, if it says so.

        A client who has these very times already counts as created or changed, so that a repeat after a crash gives the
        same counts. Raises Unavailable if others keep changing the same clients.
        """
        result = Upserted()
        for start in range(0, len(clients), _AT_ONCE):
            self._upsert_some(clients[start : start + _AT_ONCE], rows, also, result)
        return result

    def expected(self, clients: Sequence[Client], rows: Rows) -> Upserted:
        """What `upsert` would count, and how many it would opt out or in again. Writes nothing."""
        result = Upserted()
        for start in range(0, len(clients), _AT_ONCE):
            some = {client.phone_number: client for client in clients[start : start + _AT_ONCE]}
            for number, step in self._steps(some, rows):
                old, new = step.old, step.new
                if step.fault:
                    result.refused[number] = step.fault
                else:
                    result["unchanged" if step.changes_nothing else "changed" if old else "created"] += 1
                result["opted_out"] += bool(new and new.opted_out and not (old and old.opted_out))
                result["opted_in_again"] += bool(old and new and old.opted_out and not new.opted_out)
                result["opt_outs_kept"] += step.opt_out_kept
        return result

    def _upsert_some(self, clients: Sequence[Client], rows: Rows, also: Also | None, result: Upserted) -> None:
        left = {client.phone_number: client for client in clients}
        for tries in range(1, TRIES + 1):
            steps = dict(self._steps(left, rows))
            changes = [(step.old, step.new) for step in steps.values() if not step.changes_nothing]
            refused: set[str] = set()
            for group in _transactions(changes):
                if not self._write(group, also=also):
                    refused |= {new.phone_number for _, new in group if new}
            for number, step in steps.items():
                if number in refused:
                    continue
                if step.fault:
                    result.refused[number] = step.fault
                elif step.old and step.changes_nothing:
                    result[_came_about(step.old, step.row)] += 1
                else:
                    result["changed" if step.old else "created"] += 1
                if step.opt_out_kept:
                    result["opt_outs_kept"] += 1
            if not refused:
                return
            left = {number: client for number, client in left.items() if number in refused}
            self._backoff.wait(tries)
        raise Unavailable("the clients are being changed by others; try again")

    def _steps(self, left: Mapping[str, Client], rows: Rows) -> Iterator[tuple[str, _Step]]:
        """The changes for rows, by number."""
        places = self._numbers.find(left)
        owners = self._external_ids.owners(row.external_id for row in left.values() if row.external_id)
        for number, row in left.items():
            place, names = places[number], rows.given.get(number, OPTIONAL_FIELDS)
            taken = owners.get(row.external_id) not in (None, place.client.client_id if place.client else place.free)
            if taken and number in rows.sharing:
                taken, (row, names) = False, sharing_its_id(row, names)
            if taken:
                yield number, _refused(row, place, names, _TAKEN)
                continue
            step = _step(row, place, names, rows.allow_opt_in)
            try:
                yield number, _tagged(step, rows.add_tag)
            except Invalid as error:
                yield number, _refused(row, place, names, error.errors[0])


def _tagged(step: _Step, tag: str) -> _Step:
    """The step with one more tag for the client. Raises Invalid if there are too many."""
    if not tag or step.new is None or tag in step.new.tags:
        return step
    return replace(step, new=replace(step.new, tags=check_tags((*step.new.tags, tag))))


def _step(row: Client, place: Place, names: frozenset[str], allow_opt_in: bool) -> _Step:
    if place.client is None:
        return _Step(row, None, replace(row, client_id=place.free))
    new = in_place_of_row(row, place.client, names, allow_opt_in=allow_opt_in)
    return _Step(row, place.client, new, opt_out_kept=new.opted_out and not row.opted_out and "opted_out" in names)


def _refused(row: Client, place: Place, names: frozenset[str], fault: FieldError) -> _Step:
    """The step of a row that is left out; it may only opt out."""
    if not (row.opted_out and "opted_out" in names):
        return _Step(row, place.client, place.client, fault=fault)
    opted_out = kept_client(ClientFields(row.phone_number, opted_out=True), row.updated_at)
    return replace(_step(opted_out, place, frozenset({"opted_out"}), False), fault=fault)


def _transactions(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """The changes in groups that each fit into a transaction.

    These are actions: every client, item of a further tag, counter that changes, external id that is given or freed,
    the note in the log, and what the caller may add. No transaction has two actions for the same external id. A change
    of twenty tags into twenty others fits into one.
    """
    group: list[Change] = []
    items = 0
    counters: set[str] = set()
    ids: set[str] = set()
    for change in changes:
        touched, touched_ids = moves_of([change], "").names(), external_ids.touched(*change)
        of_change = 1 + sum(map(len, changes_of(*change)))
        actions = items + of_change + 2 + len(counters | touched) + len(ids | touched_ids)
        if group and (actions > _ACTIONS or ids & touched_ids):
            yield group
            group, items, counters, ids = [], 0, set(), set()
        group.append(change)
        items += of_change
        counters |= touched
        ids |= touched_ids
    if group:
        yield group


def _came_about(old: Client, client: Client) -> str:
    """What an earlier try of the same row did, if its times match: "created" or "changed"; else "unchanged"."""
    if old.created_at == client.created_at:
        return "created"
    return "changed" if old.updated_at == client.updated_at else "unchanged"
