"""Numbers: marks clients as unreachable if receipts say that too many messages to their number were lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ...clock import Backoff
from ...domain.clients import Client, Lost
from ...domain.errors import Unavailable
from ...domain.messages import Message
from ...observability import logger
from ...storage.clients import ClientRepository
from ...storage.dynamodb import TRIES


class Numbers:
    """Notes with the clients what was lost for good, and what was delivered. May be repeated."""

    def __init__(self, clients: ClientRepository, backoff: Backoff) -> None:
        self._clients = clients
        self._backoff = backoff

    def note(self, messages: Iterable[Message]) -> list[Message]:
        """Note the deliveries of messages. Returns those that could not be noted; their receipts must come again."""
        left: defaultdict[str, list[Message]] = defaultdict(list)
        for message in messages:
            left[message.client_id].append(message)
        for tries in range(1, TRIES + 1):
            if not left:
                return []
            try:
                left = self._round(left)
            except Unavailable as error:
                logger.warning("lost messages not saved at clients", error=str(error), count=len(left))
                break
            if left:
                self._backoff.wait(tries)
        return [message for messages in left.values() for message in messages]

    def _round(self, wanted: Mapping[str, list[Message]]) -> defaultdict[str, list[Message]]:
        """Read and write each client once. Returns those that others changed meanwhile."""
        left: defaultdict[str, list[Message]] = defaultdict(list)
        for client_id, old in self._clients.get_many(wanted).items():
            new = _after(old, wanted[client_id])
            if new == old:
                continue
            if not self._clients.write([(old, new)]):
                left[client_id] = wanted[client_id]
            elif new.unreachable and not old.unreachable:
                logger.info("client marked as unreachable", client_id=client_id)
        return left


def _after(client: Client, messages: Sequence[Message]) -> Client:
    """The client with what receipts say about messages to their current number."""
    for message in messages:
        delivery = message.delivery
        if delivery is None or message.phone_number != client.phone_number:
            continue
        if delivery.delivered:
            client = client.reachable()
        elif delivery.permanent:
            client = client.losing(Lost(message.mailing_id, delivery.at))
    return client
