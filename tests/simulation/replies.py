"""People who write back while mailings run, and others who pretend that they do."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence

from chalicelib.domain.errors import NotFound, Unavailable
from chalicelib.domain.messages import Message
from chalicelib.domain.replies import Reply
from chalicelib.gateways.base import Callback
from tests.support.receipts import write_back
from tests.support.simulation import Simulation

FLOOD = 40  # replies at once
MOST_IN_A_FLOOD = 15  # that are kept in a minute, in the simulations that have floods
STRANGER = "+447700900123"
TEXTS = ("STOP", "Thanks!", "Стоп", "Who is this?", "", "🙂" * 50)


class People:
    """Writes replies, and knows what must be kept of them in the end."""

    def __init__(self, simulation: Simulation, rng: random.Random, *, floods: bool) -> None:
        self._simulation = simulation
        self._rng = rng
        self.floods = floods
        self._must: dict[str, dict[str, str]] = {}  # what the queue has taken, by the gateway's id
        self._may: dict[str, dict[str, str]] = {}  # and what it may have
        self._count = 0

    def write(self, answered: Sequence[Message]) -> None:
        """As the people who got these messages, naming them or not."""
        self._tell([self._reply(row.phone_number, row.message_id) for row in answered])

    def write_as_a_stranger(self, about: Sequence[Message]) -> None:
        """From a number that nobody has, about messages that went to others, too."""
        self._tell([self._reply(STRANGER, row.message_id) for row in about] or [self._reply(STRANGER, "")])

    def flood(self) -> None:
        """More at once than is kept in a minute."""
        self._tell([self._reply(STRANGER, "") for _ in range(FLOOD)])

    def tell_again(self) -> None:
        """What was told already, word for word."""
        known = list((self._must | self._may).values())
        self._tell(self._rng.sample(known, min(5, len(known))))

    def forge(self, about: Sequence[Message]) -> None:
        """Without the secret of the address, which is refused."""
        body = json.dumps({"replies": [self._reply(row.phone_number, row.message_id) for row in about]})
        try:
            self._simulation.services.receipt_gate().take_reply(
                Callback("default", "", "application/json", body), "0" * 40
            )
        except (NotFound, Unavailable):
            return
        raise AssertionError("a reply without the secret was taken")

    def _reply(self, phone: str, message_id: str) -> dict[str, str]:
        self._count += 1
        told = {"id": f"in-{self._count}", "phone": phone, "text": self._rng.choice(TEXTS)}
        return told | ({"message_id": message_id} if message_id and self._rng.random() < 0.5 else {})

    def _tell(self, told: Sequence[dict[str, str]]) -> None:
        if not told:
            return
        by_id = {one["id"]: one for one in told}
        try:
            write_back(self._simulation, *told)
        except Unavailable:  # SQS may have taken it all the same
            self._may |= by_id
        else:
            self._must |= by_id

    def check(self) -> None:
        """What was told is kept once, as it was written, and nothing else is.

        Of a flood some may be missing, but not more than the limit of a minute are kept in one.
        """
        kept = self._kept()
        texts = Counter((one.phone_number, one.text) for one in kept)
        told = self._must | self._may
        assert len({one.reply_id for one in kept}) == len(kept)
        assert not texts - Counter((one["phone"], one["text"]) for one in told.values())
        for one in kept:
            if one.message_id:
                message = self._simulation.services.messages.get(one.message_id)
                assert message.phone_number == one.phone_number
        if self.floods:
            minutes = Counter(f"{one.received_at:%Y-%m-%dT%H:%M}" for one in kept)
            most = 2 * MOST_IN_A_FLOOD  # for what is admitted in one may be kept in the next
            assert all(count <= most for count in minutes.values()), minutes
            return
        missing = Counter((one["phone"], one["text"]) for one in self._must.values()) - texts
        assert not missing - self._set_aside(), missing

    def _kept(self) -> list[Reply]:
        found: list[Reply] = []
        place, more = "", True
        while more:
            page, place = self._simulation.services.replies().list("", place, 50)
            found += page
            more = bool(place)
        return found

    def _set_aside(self) -> Counter[tuple[str, str]]:
        """What the queue has given up after many tries, which an operator can put back."""
        bodies = [
            json.loads(one["body"])
            for one in self._simulation.queue(self._simulation.settings.receipt_dead_letter_queue)
        ]
        told = [json.loads(one["reply"]["body"])["replies"] for one in bodies if "reply" in one]
        return Counter((one["phone"], one["text"]) for some in told for one in some)
