"""People who change while their mailing runs: each is reached as they are when the message leaves, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import time

import pytest

from chalicelib.domain.clients import Client
from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.services.clients import ClientFields
from tests.support.world import World, new_world


@pytest.fixture
def world() -> Iterator[World]:
    """An empty service at nine o'clock (UTC)."""
    with new_world() as made:
        yield made


def correct(world: World, client: Client, **fields: str) -> Client:
    """Correct some fields of a client."""
    present = world.services.clients.get(client.client_id)
    old = ClientFields(present.phone_number, present.operator, present.tag, present.timezone, present.opted_out)
    return world.services.clients.change(client.client_id, replace(old, **fields))


HOURS = LocalWindow(time(9), time(12))


@pytest.mark.parametrize(("policy", "becomes"), [(WindowPolicy.DEFER, "waiting"), (WindowPolicy.SKIP, "skipped")])
def test_the_hours_are_those_of_the_corrected_zone(world: World, policy: WindowPolicy, becomes: str) -> None:
    """Nobody whose zone was corrected after dispatch is called outside their hours; the row says which zone counted."""
    clients = world.add_clients(8)
    mailing = world.create_mailing(lasts=86400, rate_limit=1, local_window=replace(HOURS, policy=policy))
    world.run_for(1)
    world.services.mailings.pause(mailing.mailing_id)
    world.run_for(10)
    called = len(world.gateway.log)
    assert called < 8
    zone = "Asia/Vladivostok"  # where it is 19:00
    for client in clients:
        correct(world, client, timezone=zone)
    world.services.mailings.resume(mailing.mailing_id)
    world.run_for(60)
    assert len(world.gateway.log) == called
    held = [row for row in world.rows(mailing) if row.status != "sent"]
    assert {(row.status, row.reason, row.timezone) for row in held} == {(becomes, "outside the local window", zone)}
