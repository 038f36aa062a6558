"""Turns that a sender books while its tables are slow."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.domain.gateway_control import GatewayControl
from chalicelib.domain.gateway_paces import GatewayPaces
from chalicelib.domain.mailings import MailingStatus
from chalicelib.domain.pace import Pace, Spacing, book
from chalicelib.services.gateway_control import GatewayControlService
from tests.factories import START, MailingFactory
from tests.support.clocks import FrozenClock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass
class Slowed:
    """The settings of a gateway that said "too many" at the start, and takes twenty messages a second."""

    paces: dict[str, Pace] = field(default_factory=dict)

    def read(self) -> GatewayControl:
        return GatewayControl(slowed_at=START, slowed_to=20.0)

    def reserve(self, paces: dict[str, Spacing], wanted: int, now: datetime, horizon: timedelta) -> list[datetime]:
        first = (now - EPOCH) // MICROSECOND
        old = [self.paces.get(name, Pace()) for name in paces]
        moments, new = book(old, list(paces.values()), wanted, first, first + horizon // MICROSECOND)
        self.paces.update(zip(paces, new, strict=True))
        return [EPOCH + moment * MICROSECOND for moment in moments]


def control() -> GatewayControlService:
    repository: Any = Slowed()
    clock: Any = FrozenClock(START)
    return GatewayControlService(repository, 6, clock, random.Random(1), GatewayPaces())


def booked(service: GatewayControlService) -> list[float]:
    """Seconds until the turns of ten messages."""
    booking = service.book(MailingFactory.build(status=MailingStatus.RUNNING), 10)
    assert booking is not None
    return [(moment - START).total_seconds() for moment in booking.moments]


def test_messages_that_missed_their_turns_together_move_the_next_ones_once() -> None:
    """Expects later turns by as much as one of ten was late, not by all of it together."""
    service = control()
    assert booked(service)[0] == 0
    for _ in range(10):
        service.missed(timedelta(seconds=0.6))
    assert 0.6 <= booked(service)[0] < 0.7


def test_a_sender_with_slow_tables_gets_turns_while_the_pace_is_searched() -> None:
    """Expects ten turns from two seconds on, the longest lead, though turns are booked for one and a half only."""
    service = control()
    service.missed(timedelta(seconds=9))
    turns = booked(service)
    assert len(turns) == 10
    assert 2 <= turns[0] < turns[-1] <= 3.5
