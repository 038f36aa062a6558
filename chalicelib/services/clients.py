"""The directory of clients."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ..clock import SystemClock
from ..domain.client_ids import is_client_id
from ..domain.clients import Client, ClientFields, check_external_id, new_client
from ..domain.errors import Invalid, Malformed, NotFound
from ..domain.faults import Fault
from ..domain.phone_numbers import normalize_phone
from ..domain.segments import Segment
from ..storage.clients import ClientRepository
from ..storage.segments import Total

# A shard, the number of an index range in it, and the last key that was read there.
_STORED = re.compile(r"\+[1-9][0-9]{6,14}")
_CURSOR = re.compile(r"|(0[0-9]|1[0-5])\|([0-9]{1,2}:.{0,100})?", re.DOTALL)


class ClientService:
    """Create, read, change, delete and list clients.

    `default_country` is for numbers without a country code, "" for none; each call may name another one.
    """

    def __init__(self, clients: ClientRepository, clock: SystemClock, default_country: str = "") -> None:
        self._clients = clients
        self._clock = clock
        self._default_country = default_country

    def create(self, fields: ClientFields, country: str = "") -> Client:
        """Add a client. Raises Invalid with each wrong field, and Conflict if the number or external id is taken."""
        client = new_client(fields, self._clock.now(), country or self._default_country)
        self._clients.attribute_names.learn(client.attributes)
        return self._clients.create(client)

    def get(self, client_id: str) -> Client:
        """The client with this id. Raises NotFound if there is none."""
        if not is_client_id(client_id):
            raise NotFound(Fault.NO_SUCH_CLIENT, name=repr(client_id[:80]))
        return self._clients.get(client_id)

    def get_many(self, client_ids: Sequence[str]) -> dict[str, Client]:
        """The clients with these ids, as far as they exist, in no order."""
        return self._clients.get_many(filter(is_client_id, client_ids))

    def find(self, phone_number: str, country: str = "") -> tuple[str, Client | None]:
        """Returns the id and the client with a phone number in any common form. Raises Invalid if it is not a number.

        If nobody has the number, the client is None and the id is that of the last client who had it, so that messages
        to them can be found. Ids are keyed hashes of whole numbers, so a part of a number finds nobody.
        """
        stored = phone_number.strip()
        try:
            number = normalize_phone(phone_number, country or self._default_country)
        except Invalid:
            # A client of an older version may have a number that today's rules refuse.
            if not _STORED.fullmatch(stored) or not self._clients.find(stored).client:
                raise
            number = stored
        place = self._clients.find(number)
        if place.client:
            return place.client.client_id, place.client
        return place.former or place.free, None

    def find_external(self, external_id: str) -> Client | None:
        """The client with an external id, None if there is none or it is not a valid id."""
        try:
            return self._clients.find_external(check_external_id(external_id))
        except Invalid:
            return None

    def opt_out(self, client_id: str, opted_out: bool) -> Client:
        """Opt a client out, or in again.

        Messages that are being sent still arrive. Raises Conflict as `change` does.
        """
        return self.revise(client_id, lambda client: replace(client.fields, opted_out=opted_out))

    def mark_reachable(self, client_id: str) -> Client:
        """Let an unreachable client get mailings again. Raises Conflict if others keep changing the client."""
        old = self.get(client_id)
        return self._clients.change(old, replace(old.reachable(), updated_at=self._later(old)))

    def change(self, client_id: str, fields: ClientFields, country: str = "") -> Client:
        """Set all fields of a client, whose id stays.

        Raises Conflict if the number or external id is taken, or others keep changing the client.
        """
        return self.revise(client_id, lambda _: fields, country)

    def revise(self, client_id: str, fields_of: Callable[[Client], ClientFields], country: str = "") -> Client:
        """Change a client's fields, given the current ones. Raises Conflict as `change` does."""
        old = self.get(client_id)
        country = country or self._default_country
        new = new_client(fields_of(old), self._clock.now(), country, stored=old.phone_number)
        self._clients.attribute_names.learn(new.attributes)
        return self._clients.change(old, replace(new.in_place_of(old), updated_at=self._later(old)))

    def _later(self, old: Client) -> datetime:
        """Now, or a moment after the client's last change if that is later."""
        return max(self._clock.now(), old.updated_at + timedelta(milliseconds=1))

    def delete(self, client_id: str) -> None:
        """Delete a client. Their rows in the ledger are kept."""
        self._clients.delete(self.get(client_id))

    def list(self, segment: Segment, cursor: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` clients of a segment and the next cursor, "" at the end. Raises Malformed for a bad cursor."""
        if not _CURSOR.fullmatch(cursor):
            raise Malformed(Fault.CURSOR_OF_ANOTHER_LIST)
        return self._clients.list(segment, cursor, limit)

    def attribute_names(self, most: int | None = None) -> Sequence[str]:
        """The names of all attributes that clients ever had, or the oldest `most` of them, in a fixed order."""
        return self._clients.attribute_names.all()[:most]

    def total(self, segment: Segment) -> Total:
        """How many clients a segment has, opted-out ones included, and whether that is exact."""
        return self._clients.total(segment)

    def count(self, segment: Segment) -> int:
        """How many clients a segment has at most; see `total`."""
        return self._clients.count(segment)

    def tags(self, most: int) -> Sequence[tuple[str, int]]:
        """Up to `most` tags with how many clients they have, the largest first."""
        return self._clients.tags(most)
