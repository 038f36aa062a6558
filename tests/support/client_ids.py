"""The ids of the tests' clients, with a fixed key, so that every run has the same ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from chalicelib.domain.client_ids import ClientIds, unkeyed_id_for
from chalicelib.domain.clients import Client, ClientFields, new_client

# With this key the clients of benchmarks/budget.json have as many hints as when it was measured.
CLIENT_IDS = ClientIds(b"the tests' key, no secret 309")
client_id_for = CLIENT_IDS.id_for


def new_client_with_id(given: ClientFields, now: datetime) -> Client:
    """A client as `new_client` makes one, with the id that they will be added with."""
    client = new_client(given, now)
    return replace(client, client_id=client_id_for(client.phone_number))


class EarlierIds(ClientIds):
    """Ids as versions without a key made them."""

    def id_for(self, phone_number: str, generation: int = 0) -> str:
        return unkeyed_id_for(phone_number, generation)


EARLIER_IDS = EarlierIds(CLIENT_IDS.key)
