"""Clients who change while their mailing runs: each is reached once, as they are when the message leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest

from chalicelib.domain.clients import Client, ClientFields
from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.segments import Segment
from chalicelib.services.mailing_fields import MailingFields
from tests.support.aws import Call
from tests.support.simulation import Simulation, new_simulation


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """An empty service at nine o'clock (UTC)."""
    with new_simulation() as made:
        yield made


def correct(simulation: Simulation, client: Client, **fields: str) -> Client:
    """Correct some fields of a client."""
    present = simulation.services.clients.get(client.client_id)
    old = ClientFields(present.phone_number, present.operator, present.tags, present.timezone, present.opted_out)
    return simulation.services.clients.change(client.client_id, replace(old, **fields))


HOURS = LocalWindow(time(9), time(12))


@pytest.mark.parametrize(("policy", "becomes"), [(WindowPolicy.DEFER, "waiting"), (WindowPolicy.SKIP, "skipped")])
def test_hours_follow_a_corrected_time_zone(simulation: Simulation, policy: WindowPolicy, becomes: str) -> None:
    """Nobody whose zone was corrected after dispatch is called outside their hours; the row says which zone counted."""
    clients = simulation.add_clients(8)
    mailing = simulation.create_mailing(lasts=86400, rate_limit=1, local_window=replace(HOURS, policy=policy))
    simulation.run_for(1)
    simulation.services.mailing_actions.pause(mailing.mailing_id)
    simulation.run_for(10)
    called = len(simulation.gateway.log)
    assert called < 8
    zone = "Asia/Vladivostok"  # where it is 19:00
    for client in clients:
        correct(simulation, client, timezone=zone)
    simulation.services.mailing_actions.resume(mailing.mailing_id)
    simulation.run_for(60)
    assert len(simulation.gateway.log) == called
    held = [row for row in simulation.rows(mailing) if row.status != "sent"]
    assert {(row.status, row.cause, row.timezone) for row in held} == {
        (becomes, Cause(Reason.OUTSIDE_LOCAL_WINDOW), zone)
    }


def opening_of(simulation: Simulation, zone: str) -> datetime:
    """When the hours begin next in a zone."""
    return HOURS.opening(simulation.clock.now(), zone)


@pytest.mark.parametrize("paused", [False, True])
def test_a_waiting_client_follows_their_corrected_time_zone(simulation: Simulation, paused: bool) -> None:
    """Within a minute: those whose hours are open now are called now, and the others when their own hours open."""
    east, west, azores = "Asia/Vladivostok", "America/New_York", "Atlantic/Azores"  # 19:00, 4:00, 8:00
    groups = {zone: simulation.add_clients(8, tag=zone, timezone=zone) for zone in (east, west, azores)}
    window = {
        "start_at": simulation.clock.now(),
        "end_at": simulation.clock.now() + timedelta(days=1),
        "local_window": HOURS,
    }
    mailing = simulation.services.mailings.create(MailingFields("Hello", Segment(), **window), "tester")
    simulation.run_for(600)
    assert {row.status for row in simulation.rows(mailing)} == {"waiting"}
    if paused:
        simulation.services.mailing_actions.pause(mailing.mailing_id)
    corrected = {"UTC": groups[east], east: groups[azores][:4]}
    for zone, clients in corrected.items():
        for client in clients:
            correct(simulation, client, timezone=zone)
    at = simulation.clock.now()
    simulation.run_for(75)
    due = {row.client_id: row.due_at for row in simulation.rows(mailing) if row.due_at}
    assert {due[client.client_id] for client in corrected[east]} == {opening_of(simulation, east)}
    if paused:
        assert not simulation.gateway.log
        simulation.services.mailing_actions.resume(mailing.mailing_id)
        simulation.run_for(10)
    numbers = {client.phone_number for client in groups[east]}
    assert {call.phone_number for call in simulation.gateway.log} == numbers
    assert max(call.at for call in simulation.gateway.log) < at + timedelta(seconds=90)
    simulation.workers.tick_after = 600
    simulation.run_until_finished(mailing, limit=86400)
    assert sorted(simulation.gateway.accepted().values()) == [1] * 24
    zones = {row.phone_number: row.timezone for row in simulation.rows(mailing)}
    assert all(HOURS.allows(call.at, zones[call.phone_number]) for call in simulation.gateway.log)


def test_nothing_is_read_twice_from_the_log_of_changed_clients(simulation: Simulation) -> None:
    """The place in it is remembered; without a mailing with local hours it is not read at all."""
    asked: list[str] = []

    def note(call: Call) -> None:
        if (
            call.operation == "dynamodb.Query"
            and b"changed-clients" in call.body
            and b"changed-clients-read" not in call.body
        ):
            asked.append(json.loads(call.body)["ExpressionAttributeValues"][":1"]["S"])

    simulation.aws.after = note
    clients = simulation.add_clients(3, timezone="Asia/Vladivostok")
    simulation.create_mailing(lasts=7200)
    simulation.run_for(300)
    asked.clear()
    simulation.run_for(300)
    assert not asked
    simulation.create_mailing(lasts=86400, local_window=HOURS)
    simulation.run_for(300)
    correct(simulation, clients[0], timezone="Asia/Tokyo")
    simulation.run_for(600)
    places = [place for place in asked if "#" not in place]
    minutes_back = (simulation.clock.now().timestamp() * 1000 - int(places[-1])) / 60_000
    assert 1 <= minutes_back < 4
    assert sorted(places) == places


def test_a_waiting_message_goes_to_the_changed_number(simulation: Simulation) -> None:
    """Nobody was removed, and nobody is called at their old number; the row and its history say where."""
    clients = simulation.add_clients(20, timezone="Atlantic/Azores")  # where it is 8:00
    mailing = simulation.create_mailing(lasts=7200, local_window=HOURS)
    simulation.run_for(60)
    assert {row.status for row in simulation.rows(mailing)} == {"waiting"}
    new = {client.client_id: f"+79265{number:06d}" for number, client in enumerate(clients)}
    for client_id, number in new.items():
        correct(simulation, simulation.services.clients.get(client_id), phone_number=number)
    simulation.run_until_finished(mailing, limit=7200)
    assert simulation.counts(mailing) == {"total": 20, "sent": 20}
    assert sorted(call.phone_number for call in simulation.gateway.log) == sorted(new.values())
    assert {row.client_id: row.phone_number for row in simulation.rows(mailing)} == new
    (entry,) = simulation.services.messages.history(clients[0].client_id, None, "", 10).entries
    assert entry[0].mailing_id == mailing.mailing_id


def test_a_number_that_changes_while_a_mailing_is_expanded_is_called_once(simulation: Simulation) -> None:
    """One person, one message: not at both numbers; the old one may be somebody else's by then."""
    clients = simulation.add_clients(160)
    changed: dict[str, str] = {}

    def change_some(call: Call) -> None:
        if (
            call.operation != "dynamodb.Query"
            or b'"contacts_by_tag"' not in call.body
            or len(changed) >= 16
            or changing
        ):
            return
        changing.append(True)
        for client in clients[len(changed) : len(changed) + 2]:
            changed[client.client_id] = f"+79265{len(changed):06d}"
            correct(simulation, client, phone_number=changed[client.client_id])
        changing.clear()

    changing: list[bool] = []
    simulation.aws.after = change_some
    mailing = simulation.create_mailing(lasts=7200)
    simulation.run_until_finished(mailing, limit=600)
    assert len(changed) > 8
    assert simulation.counts(mailing) == {"total": 160, "sent": 160}
    assert sorted(simulation.gateway.accepted().values()) == [1] * 160
    # Those who were called before they changed their number were called there.
    numbers = {client.client_id: {client.phone_number, changed.get(client.client_id, "")} for client in clients}
    rows = {row.client_id: row.phone_number for row in simulation.rows(mailing)}
    assert all(rows[client_id] in either for client_id, either in numbers.items())
    assert sorted(call.phone_number for call in simulation.gateway.log) == sorted(rows.values())


def test_only_removed_clients_are_said_to_be_removed(simulation: Simulation) -> None:
    """And nobody else, whatever happened to their number."""
    clients = simulation.add_clients(3, timezone="Atlantic/Azores")
    mailing = simulation.create_mailing(lasts=7200, local_window=HOURS)
    simulation.run_for(60)
    correct(simulation, clients[0], phone_number="+79265000001")
    correct(simulation, clients[1], phone_number=clients[0].phone_number)
    simulation.services.clients.delete(clients[2].client_id)
    simulation.run_until_finished(mailing, limit=7200)
    causes = {row.client_id: row.cause for row in simulation.rows(mailing)}
    expected = (None, None, Cause(Reason.CLIENT_REMOVED))
    assert causes == dict(zip((client.client_id for client in clients), expected, strict=True))
    assert {call.phone_number for call in simulation.gateway.log} == {"+79265000001", clients[0].phone_number}
