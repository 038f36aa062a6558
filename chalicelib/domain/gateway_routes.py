"""Which of several gateways a message goes to: chosen by its number and by weights, the same one each time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from .messages import Attempt, Outcome, taken

ONLY = ""  # the name of a single gateway; rows of the ledger do not name it
ONLY_NAME = "default"  # its name for people, and among several gateways


@dataclass(frozen=True, slots=True)
class Route:
    """The gateways for numbers that begin with `prefix`, such as +7916, each with its weight; "" is for all numbers."""

    prefix: str
    weights: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class GatewayRoutes:
    """Without a route there is one gateway. The longest matching prefix counts; one route is for all numbers."""

    routes: tuple[Route, ...] = ()

    @classmethod
    def of(cls, routes: Sequence[Route]) -> GatewayRoutes:
        """Routes that can be asked."""
        return cls(tuple(sorted(routes, key=lambda route: -len(route.prefix))))

    def weights(self, phone_number: str) -> tuple[tuple[str, int], ...]:
        """The gateways for a number, each with its weight."""
        if not self.routes:
            return ((ONLY, 1),)
        return next(route.weights for route in self.routes if phone_number.startswith(route.prefix))

    def order(self, message_id: str, phone_number: str) -> tuple[str, ...]:
        """The gateways that a message may go to, in the order in which they are tried: the same at any time.

        Each comes first for its share of the messages ("weighted rendezvous hashing"), so that if a route changes, as
        few messages as possible get another gateway.
        """
        weights = self.weights(phone_number)
        if len(weights) == 1:
            return (weights[0][0],)
        return tuple(name for name, _ in sorted(weights, key=lambda one: _score(message_id, *one)))


def _score(message_id: str, name: str, weight: int) -> float:
    digest = hashlib.blake2b(f"{name} {message_id}".encode(), digest_size=8).digest()
    return -math.log((int.from_bytes(digest, "big") + 1) / 2**64) / weight


def bound_to(attempts: Sequence[Attempt]) -> str | None:
    """The only gateway that a message may still be sent to, because that one may have taken it; None if none has."""
    if not taken(attempts):
        return None
    may_be = (Outcome.ACCEPTED, Outcome.UNKNOWN)
    return next(attempt.gateway for attempt in reversed(attempts) if attempt.outcome in may_be)


def internal(name: str) -> str:
    """A gateway's name in rows and code."""
    return ONLY if name == ONLY_NAME else name


def shown(name: str) -> str:
    """A gateway's name as people know it."""
    return name or ONLY_NAME
