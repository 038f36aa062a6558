"""Servers on loopback for the gateways' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.faulty_gateway import FaultyGateway
from tests.unit.gateways.raw_server import RawServer


@pytest.fixture
def server() -> Iterator[FaultyGateway]:
    """A gateway that does what it should, until it is told otherwise."""
    server = FaultyGateway()
    yield server
    server.stop()


@pytest.fixture
def raw() -> Iterator[RawServer]:
    """One that answers any bytes."""
    server = RawServer()
    yield server
    server.stop()
