"""The directory of clients."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from ..clock import SystemClock
from ..domain.clients import Client, ClientFields, is_client_id, new_client, normalize_phone
from ..domain.errors import Malformed, NotFound
from ..domain.faults import Fault
from ..domain.mailings import Segment
from ..storage.clients import ClientRepository
from ..storage.segments import SegmentCount

# A shard, and within it the number of an index range and the last key that was read there.
_CURSOR = re.compile(r"|(0[0-9]|1[0-5])\|([0-9]{1,2}:.{0,100})?", re.DOTALL)


class ClientService:
    """Create, read, change, delete and list clients."""

    def __init__(self, clients: ClientRepository, clock: SystemClock) -> None:
        self._clients = clients
        self._clock = clock

    def create(self, fields: ClientFields) -> Client:
        """Add a client. Raises Invalid with each wrong field, and Conflict if the number is taken."""
        return self._clients.create(new_client(fields, self._clock.now()))

    def get(self, client_id: str) -> Client:
        """The client with this id. Raises NotFound if there is none."""
        if not is_client_id(client_id):
            raise NotFound(Fault.NO_SUCH_CLIENT, name=repr(client_id[:80]))
        return self._clients.get(client_id)

    def find(self, phone_number: str) -> tuple[str, Client | None]:
        """Returns a client's id and the client with a phone number in any common form. Raises Invalid if it is not a
        number.

        If nobody has the number, the client is None and the id is that of whoever had it last, so that what was sent
        to them can be found. Ids are keyed hashes of whole numbers, so nobody can be found by a part of one.
        """
        place = self._clients.find(normalize_phone(phone_number))
        if place.client:
            return place.client.client_id, place.client
        return place.former or place.free, None

    def opt_out(self, client_id: str, opted_out: bool) -> Client:
        """Opt a client out, or in again. Messages being sent still arrive. Raises Conflict as `change` does."""
        return self.revise(client_id, lambda client: replace(client.fields, opted_out=opted_out))

    def change(self, client_id: str, fields: ClientFields) -> Client:
        """Set all fields of a client, whose id stays.

        Raises Conflict if the number is taken, or others change the client meanwhile.
        """
        return self.revise(client_id, lambda _: fields)

    def revise(self, client_id: str, fields_of: Callable[[Client], ClientFields]) -> Client:
        """Change a client's fields, given the current ones. Raises Conflict as `change` does."""
        old = self.get(client_id)
        new = new_client(fields_of(old), self._clock.now())
        later = max(new.updated_at, old.updated_at + timedelta(milliseconds=1))
        return self._clients.change(old, replace(new.in_place_of(old), updated_at=later))

    def delete(self, client_id: str) -> None:
        """Delete a client. Their rows in the ledger are kept."""
        self._clients.delete(self.get(client_id))

    def list(self, segment: Segment, cursor: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` clients of a segment and the next cursor, "" at the end. Raises Malformed for a bad cursor."""
        if not _CURSOR.fullmatch(cursor):
            raise Malformed(Fault.CURSOR_OF_ANOTHER_LIST)
        return self._clients.list(segment, cursor, limit)

    def counts(self, segment: Segment) -> Sequence[SegmentCount]:
        """How many clients a segment has, by tag, operator, time zone and opt-out. Reads no client."""
        return list(self._clients.counts(segment))

    def count(self, segment: Segment) -> int:
        """How many clients a segment has, opted-out ones included."""
        return self._clients.count(segment)

    def tags(self, most: int) -> Sequence[tuple[str, int]]:
        """Up to `most` tags with how many clients they have, the largest first."""
        return self._clients.tags(most)
