"""People who change while their mailing runs: each is reached as they are when the message leaves, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest

from chalicelib.domain.clients import Client
from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.domain.mailings import Segment
from chalicelib.services.clients import ClientFields
from chalicelib.services.mailing_fields import MailingFields
from tests.support.aws import Call
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


def opening_of(world: World, zone: str) -> datetime:
    """When the hours begin next in a zone."""
    return HOURS.opening(world.clock.now(), zone)


@pytest.mark.parametrize("paused", [False, True])
def test_who_waits_for_their_hours_follows_their_zone(world: World, paused: bool) -> None:
    """Within a minute: whose hours are open now is called now, and the others when their own hours open."""
    east, west, azores = "Asia/Vladivostok", "America/New_York", "Atlantic/Azores"  # 19:00, 4:00, 8:00
    groups = {zone: world.add_clients(8, tag=zone, timezone=zone) for zone in (east, west, azores)}
    window = {"start_at": world.clock.now(), "end_at": world.clock.now() + timedelta(days=1), "local_window": HOURS}
    mailing = world.services.mailings.create(MailingFields("Hello", Segment(), **window), "tester")
    world.run_for(600)
    assert {row.status for row in world.rows(mailing)} == {"waiting"}
    if paused:
        world.services.mailings.pause(mailing.mailing_id)
    corrected = {"UTC": groups[east], east: groups[azores][:4]}
    for zone, clients in corrected.items():
        for client in clients:
            correct(world, client, timezone=zone)
    at = world.clock.now()
    world.run_for(75)
    due = {row.client_id: row.due_at for row in world.rows(mailing) if row.due_at}
    assert {due[client.client_id] for client in corrected[east]} == {opening_of(world, east)}
    if paused:
        assert not world.gateway.log
        world.services.mailings.resume(mailing.mailing_id)
        world.run_for(10)
    numbers = {client.phone_number for client in groups[east]}
    assert {call.phone_number for call in world.gateway.log} == numbers
    assert max(call.at for call in world.gateway.log) < at + timedelta(seconds=90)
    world.workers.tick_after = 600
    world.run_until_finished(mailing, limit=86400)
    assert sorted(world.gateway.accepted().values()) == [1] * 24
    zones = {row.phone_number: row.timezone for row in world.rows(mailing)}
    assert all(HOURS.allows(call.at, zones[call.phone_number]) for call in world.gateway.log)


def test_nothing_is_read_again_that_was_looked_at(world: World) -> None:
    """The place in the log is remembered; without a mailing that keeps to hours the log is not read at all."""
    asked: list[str] = []

    def note(call: Call) -> None:
        if (
            call.operation == "dynamodb.Query"
            and b"changed-clients" in call.body
            and b"changed-clients-read" not in call.body
        ):
            asked.append(json.loads(call.body)["ExpressionAttributeValues"][":1"]["S"])

    world.aws.after = note
    clients = world.add_clients(3, timezone="Asia/Vladivostok")
    world.create_mailing(lasts=7200)
    world.run_for(300)
    asked.clear()
    world.run_for(300)
    assert not asked
    world.create_mailing(lasts=86400, local_window=HOURS)
    world.run_for(300)
    correct(world, clients[0], timezone="Asia/Tokyo")
    world.run_for(600)
    places = [place for place in asked if "#" not in place]
    minutes_back = (world.clock.now().timestamp() * 1000 - int(places[-1])) / 60_000
    assert 1 <= minutes_back < 4
    assert sorted(places) == places
