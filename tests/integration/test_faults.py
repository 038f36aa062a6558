"""The fault matrix: the promises hold whatever goes wrong with queues, tables, workers, clocks and the gateway.

Crashes at every single call of AWS are in test_crashes.py, the misbehaviour of the gateway's server in
test_http_gateway.py, and all of it at once in tests/simulation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.domain import buckets
from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import MAX_ATTEMPTS_KEPT, Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from chalicelib.queues import Hint, Unit, UnitKind
from tests.support.aws import Call
from tests.support.scheduler import Crash
from tests.support.simulation import Simulation, new_simulation

OK = Answer(Outcome.ACCEPTED)
HTTP_500 = Answer(Outcome.FAILED, Cause.http(500), 500)
HANG = Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
Handle = Callable[[str, str, bytes], tuple[int, dict[str, Any]]]


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """An empty service at nine o'clock."""
    with new_simulation() as made:
        yield made


def finish(simulation: Simulation, mailing: Mailing, limit: float = 7200) -> None:
    """Let time pass until the mailing is finished."""
    until = simulation.clock.now() + timedelta(seconds=limit)
    finished = simulation.scheduler.run_until(until, lambda: simulation.status(mailing) == "finished", check=20)
    assert finished, f"{simulation.status(mailing)} {simulation.counts(mailing)}"


def expect_all_sent(simulation: Simulation, mailing: Mailing, count: int) -> None:
    """Everybody has the message, the counts agree, and an attempt explains each second call."""
    assert simulation.counts(mailing) == {"total": count, "sent": count}
    rows = simulation.rows(mailing)
    assert len(rows) == count
    assert set(simulation.gateway.accepted().values()) <= {1}
    for row in rows:
        outcomes = [attempt.outcome for attempt in row.attempts]
        assert outcomes[-1] is Outcome.ACCEPTED
        assert Outcome.ACCEPTED not in outcomes[:-1]
    if all(len(row.attempts) < MAX_ATTEMPTS_KEPT for row in rows):
        assert len(simulation.gateway.log) <= sum(len(row.attempts) for row in rows)
    assert not simulation.gateway.overlaps


# -- queues


@pytest.mark.parametrize("queue", ["send", "dispatch"])
@pytest.mark.parametrize("trouble", ["lost", "repeated", "reversed", "delayed"])
def test_an_unreliable_queue_loses_and_repeats_nobody(simulation: Simulation, queue: str, trouble: str) -> None:
    """Hints and units are lost, come twice, in another order or a minute late."""
    simulation.add_clients(40)
    mailing = simulation.create_mailing(lasts=7200)
    name = f"{simulation.settings.resource_prefix}-{queue}"
    for _ in range(40):
        simulation.scheduler.run_until(simulation.clock.now() + timedelta(milliseconds=50))
        messages = simulation.queue(name)
        if trouble == "lost":
            messages.clear()
        elif trouble == "repeated" and len(messages) < 200:
            messages[:] = [
                twin
                for message in messages
                for twin in (message, message | {"id": f"{message['id']}-", "receipt_handle": None})
            ]
        elif trouble == "reversed":
            messages.reverse()
        elif trouble == "delayed":
            for message in messages:
                message["visible_at"] += 60
        simulation.scheduler.wake_idle()
    finish(simulation, mailing)
    expect_all_sent(simulation, mailing, 40)


def test_a_part_of_a_batch_that_the_queue_refuses_is_sent_again(simulation: Simulation) -> None:
    """SendMessageBatch answers `Failed` with HTTP 200."""
    refused: list[str] = []
    handle: Handle = simulation.aws._handle

    def refusing(service: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        request = json.loads(body)
        if not target.endswith(".SendMessageBatch") or request["Entries"][0]["MessageBody"] in refused:
            return handle(service, target, body)
        first, *others = request["Entries"]
        refused.append(first["MessageBody"])
        failed = [{"Id": first["Id"], "SenderFault": False, "Code": "InternalError"}]
        if not others:
            return 200, {"Failed": failed}
        status, answer = handle(service, target, json.dumps(request | {"Entries": others}).encode())
        return status, answer | {"Failed": failed}

    simulation.aws._handle = refusing  # type: ignore[method-assign]
    simulation.add_clients(700)
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, limit=60)  # sooner than any sweep: the very call was repeated
    assert len(refused) > 5
    expect_all_sent(simulation, mailing, 700)


def test_poison_reaches_the_dead_letters_and_hurts_nobody(simulation: Simulation) -> None:
    """Bodies that are not ours are given up as they are, while a mailing goes on beside them."""
    bodies = {" ", "null", "[]", "{", '{"mailing_id": 7}', "x" * 10_000, '{"kind": "launch"}'}
    queues = simulation.settings.send_queue, simulation.settings.dispatch_queue
    simulation.add_clients(10)
    for queue in queues:
        url = simulation.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        for body in sorted(bodies):
            simulation.sqs.send_message(QueueUrl=url, MessageBody=body)
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, limit=120)
    expect_all_sent(simulation, mailing, 10)
    simulation.run_quietly_for(4 * 3600)
    assert [set(simulation.bodies(f"{queue}-dead")) for queue in queues] == [bodies, bodies]


def test_a_hint_for_something_deleted_is_dropped(simulation: Simulation) -> None:
    """A mailing or client that is gone: expects no call, and nothing kept."""
    simulation.add_clients(1)
    mailing = simulation.create_mailing()
    queue = simulation.services.queues["send"]
    queue.send([Hint(mailing.mailing_id, ("a" * 16,)).body(), Hint("01" * 13, ("a" * 16,)).body()])
    simulation.run_until_finished(mailing, limit=60)
    simulation.run_for(3600)
    assert len(simulation.gateway.log) == 1
    assert not simulation.queue(simulation.settings.send_queue)
    assert not simulation.queue(simulation.settings.send_dead_letter_queue)


def test_a_chain_of_units_ends_before_aws_would_cut_it(simulation: Simulation) -> None:
    """More work than sixteen invocations can do: expects no unit to continue another more often than AWS allows."""
    hops: list[int] = []
    before = simulation.aws.before

    def watch(call: Call) -> None:
        if call.operation == "sqs.SendMessageBatch":
            bodies = [json.loads(entry["MessageBody"]) for entry in json.loads(call.body)["Entries"]]
            hops.extend(body.get("hop", 0) for body in bodies if body.get("kind") == "feed")
        before(call)

    simulation.aws.before = watch
    simulation.add_clients(60)
    mailing = simulation.create_mailing(lasts=86_400, rate_limit=1)
    simulation.services.gateway_control.hold("tester")
    simulation.run_for(3 * 3600)
    simulation.services.gateway_control.close("tester")
    finish(simulation, mailing)
    expect_all_sent(simulation, mailing, 60)
    assert max(hops) < 16


# -- tables


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ProvisionedThroughputExceededException"),
        (400, "ThrottlingException"),
        (400, "RequestLimitExceeded"),
        (500, "InternalServerError"),
    ],
)
def test_tables_that_sometimes_refuse_lose_and_repeat_nobody(simulation: Simulation, status: int, code: str) -> None:
    """One call in four is refused, for two minutes."""
    handle: Handle = simulation.aws._handle
    ends_at = simulation.clock.now() + timedelta(minutes=2)

    def throttling(service: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        worker = simulation.scheduler.current
        if (
            service == "dynamodb"
            and worker
            and simulation.clock.now() < ends_at
            and simulation.scheduler.rng.random() < 0.25
        ):
            return status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "not now"}
        return handle(service, target, body)

    simulation.aws._handle = throttling  # type: ignore[method-assign]
    simulation.add_clients(60)
    mailing = simulation.create_mailing()
    finish(simulation, mailing)
    expect_all_sent(simulation, mailing, 60)


def test_a_part_of_a_batch_that_the_table_does_not_answer_is_asked_again(simulation: Simulation) -> None:
    """BatchGetItem answers `UnprocessedKeys`, BatchExecuteStatement errors for single statements, with HTTP 200."""
    left: Counter[str] = Counter()
    handle: Handle = simulation.aws._handle

    def partial(service: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        operation = target.rpartition(".")[2]
        request = json.loads(body)
        if operation == "BatchGetItem" and simulation.scheduler.rng.random() < 0.5:
            ((table, keys),) = request["RequestItems"].items()
            half = len(keys["Keys"]) // 2
            kept = {table: keys | {"Keys": keys["Keys"][:half]}}
            rest = {table: keys | {"Keys": keys["Keys"][half:]}}
            left[operation] += 1
            if not half:
                return 200, {"Responses": {table: []}, "UnprocessedKeys": rest}
            status, answer = handle(service, target, json.dumps({"RequestItems": kept}).encode())
            return status, answer | {"UnprocessedKeys": rest}
        if operation == "BatchExecuteStatement" and simulation.scheduler.rng.random() < 0.5:
            others = request["Statements"][1:]
            error = {"Error": {"Code": "ThrottlingError", "Message": "not now"}}
            left[operation] += 1
            if not others:
                return 200, {"Responses": [error]}
            status, answer = handle(service, target, json.dumps(request | {"Statements": others}).encode())
            return status, answer | {"Responses": [error, *answer["Responses"]]}
        return handle(service, target, body)

    simulation.aws._handle = partial  # type: ignore[method-assign]
    simulation.add_clients(60)
    mailing = simulation.create_mailing()
    finish(simulation, mailing)
    expect_all_sent(simulation, mailing, 60)
    assert min(left["BatchGetItem"], left["BatchExecuteStatement"]) > 0


# -- workers


def test_a_sender_killed_in_the_middle_of_a_batch_repeats_only_what_was_not_recorded(simulation: Simulation) -> None:
    """Lambda's time-out: the process ends after part of the batch was called."""
    killed: list[int] = []
    in_batch: Counter[str] = Counter()
    before = simulation.aws.before

    def watch(call: Call) -> None:
        if simulation.scheduler.current and call.operation == "sqs.ReceiveMessage":
            in_batch[simulation.scheduler.current.name] = 0
        before(call)

    def script(gateway_id: int, nth: int) -> Answer:
        assert simulation.scheduler.current is not None
        in_batch[simulation.scheduler.current.name] += 1
        if in_batch[simulation.scheduler.current.name] == 4 and not killed:
            killed.append(gateway_id)
            simulation.clock.sleep(30)
            raise Crash
        return OK

    simulation.aws.before = watch
    simulation.gateway.script = script
    simulation.add_clients(200)
    mailing = simulation.create_mailing()
    finish(simulation, mailing)
    assert simulation.counts(mailing) == {"total": 200, "sent": 200}
    repeated = {row.message_id: row.attempts for row in simulation.rows(mailing) if len(row.attempts) > 1}
    assert all([one.outcome for one in made] == [Outcome.UNKNOWN, Outcome.ACCEPTED] for made in repeated.values())
    twice = [gateway_id for gateway_id, calls in simulation.gateway.calls().items() if calls > 1]
    assert 0 < len(twice) <= len(repeated)
    assert not simulation.gateway.overlaps


def test_a_sender_that_wakes_after_its_claim_ended_calls_nobody(simulation: Simulation) -> None:
    """It slept between the claim and the call; another sender has sent the message meanwhile."""
    slept: list[str] = []
    after = simulation.aws.after

    def freeze(call: Call) -> None:
        task = simulation.scheduler.current
        claiming = call.operation == "dynamodb.BatchExecuteStatement" and b"UPDATE" in call.body
        if task and task.name.startswith("sender") and claiming and not slept:
            slept.append(task.name)
            simulation.clock.sleep(300)
        after(call)

    simulation.aws.after = freeze
    simulation.add_clients(5)
    mailing = simulation.create_mailing()
    finish(simulation, mailing)
    simulation.run_for(600)
    assert slept
    expect_all_sent(simulation, mailing, 5)


@pytest.mark.parametrize("ticks", [2, 5])
def test_ticks_at_the_same_time_do_no_more_than_one(ticks: int) -> None:
    """Each may do what another does too."""
    with new_simulation(workers_of={"tick": ticks, "dispatcher": 3, "sender": 2}) as simulation:
        simulation.add_clients(50)
        at_once = simulation.create_mailing()
        later = simulation.create_mailing(starts_in=200, text="Later")
        finish(simulation, at_once)
        finish(simulation, later)
        for mailing in (at_once, later):
            assert simulation.counts(mailing) == {"total": 50, "sent": 50}
        assert set(simulation.gateway.calls().values()) == {1}


@pytest.mark.parametrize("seed", range(4))
def test_clocks_that_are_five_seconds_apart_break_no_promise(seed: int) -> None:
    """Each worker's clock is up to 5 s wrong: nobody is lost or called twice, or more than 5 s outside the window."""
    with new_simulation(seed=seed) as simulation:
        assert simulation.workers is not None
        simulation.workers.skew = lambda rng: timedelta(seconds=rng.uniform(-5, 5))
        simulation.add_clients(40)
        mailing = simulation.create_mailing(starts_in=30, lasts=300)
        finish(simulation, mailing)
        expect_all_sent(simulation, mailing, 40)
        skew = timedelta(seconds=5)
        assert all(mailing.start_at - skew <= call.at <= mailing.end_at + skew for call in simulation.gateway.log)


# -- the gateway


@pytest.mark.proof
@pytest.mark.parametrize(
    ("answer", "clients"),
    [(HTTP_500, 6), (HANG, 30), (Answer(Outcome.FAILED, Cause.http(429), 429, retry_after=1e9), 30)],
)
def test_a_gateway_that_fails_for_six_hours_costs_nobody_the_message(answer: Answer, clients: int) -> None:
    """Whether few or many messages show it: no attempts are used up, and then everybody gets the message."""
    with new_simulation() as simulation:
        well_at = simulation.clock.now() + timedelta(hours=6)
        simulation.gateway.script = lambda gateway_id, nth: OK if simulation.clock.now() >= well_at else answer
        simulation.add_clients(clients)
        mailing = simulation.create_mailing(lasts=12 * 3600)
        simulation.run_for(6 * 3600)
        in_trouble = len(simulation.gateway.log)
        finish(simulation, mailing, limit=1800)
        expect_all_sent(simulation, mailing, clients)
        assert in_trouble < 6 * 60 * 4 + clients * 8  # a few probes a minute, and what it took to see the trouble
        assert not simulation.queue(simulation.settings.send_dead_letter_queue)


def test_messages_that_the_gateway_never_accepts_become_dead_letters(simulation: Simulation) -> None:
    """A few of them are no outage: their attempts are used up, while the others are sent."""
    simulation.add_clients(100)
    poison: set[int] = set()

    def script(gateway_id: int, nth: int) -> Answer:
        if len(poison) < 3:
            poison.add(gateway_id)
        return HTTP_500 if gateway_id in poison else OK

    simulation.gateway.script = script
    mailing = simulation.create_mailing()
    finish(simulation, mailing, limit=900)
    assert simulation.counts(mailing) == {"total": 100, "sent": 97, "failed": 3}
    letters = [json.loads(body) for body in simulation.bodies(simulation.settings.send_dead_letter_queue)]
    assert len({letter["client_ids"][0] for letter in letters}) == 3
    assert {Cause.parse(letter["reason"]) for letter in letters} == {Cause.used_up(8, Cause.http(500))}


def test_messages_that_the_gateway_never_accepts_do_not_hold_up_others(simulation: Simulation) -> None:
    """Many of them alone open the circuit, again and again; a mailing beside them is still sent."""
    simulation.add_clients(10, tag="bad")
    simulation.add_clients(200, tag="good")
    doomed = simulation.create_mailing(tag="bad", text="bad", lasts=86_400)
    poison = {simulation.gateway_id(doomed, client) for client in simulation.add_clients(10, tag="bad")}
    simulation.gateway.script = lambda gateway_id, nth: HTTP_500 if gateway_id in poison else OK
    simulation.run_for(1200)
    good = simulation.create_mailing(tag="good")
    finish(simulation, good, limit=300)
    assert simulation.counts(good) == {"total": 200, "sent": 200}


# -- operators


@pytest.mark.parametrize("step", ["pause", "cancel"])
def test_no_call_starts_later_than_two_seconds_after_a_stop(simulation: Simulation, step: str) -> None:
    """In the middle of batches, with a gateway that takes a second for each message."""
    simulation.gateway.latency = timedelta(seconds=1)
    simulation.add_clients(400)
    mailing = simulation.create_mailing()
    simulation.scheduler.run_until(
        simulation.clock.now() + timedelta(minutes=5), lambda: len(simulation.gateway.log) > 50
    )
    stopped_at = simulation.clock.now()
    getattr(simulation.services.mailing_actions, step)(mailing.mailing_id)
    simulation.run_for(300)
    assert max(call.at for call in simulation.gateway.log) <= stopped_at + timedelta(seconds=2)
    sent = len(simulation.gateway.log)
    assert sent < 400
    if step == "cancel":
        assert simulation.counts(mailing) == {"total": 400, "sent": sent, "cancelled": 400 - sent}
    else:
        simulation.services.mailing_actions.resume(mailing.mailing_id)
        finish(simulation, mailing)
        expect_all_sent(simulation, mailing, 400)


def test_what_is_not_sent_when_the_window_closes_is_expired(simulation: Simulation) -> None:
    """Nothing is sent after the end, and the statistics agree with a recount."""
    simulation.add_clients(100)
    mailing = simulation.create_mailing(lasts=30, rate_limit=1)
    finish(simulation, mailing)
    counts = simulation.counts(mailing)
    assert counts["sent"] + counts["expired"] == counts["total"] == 100
    assert Counter(str(row.status) for row in simulation.rows(mailing)) == {
        "sent": counts["sent"],
        "expired": counts["expired"],
    }
    assert max(call.at for call in simulation.gateway.log) < mailing.end_at


def test_a_small_mailing_does_not_wait_for_a_large_one(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both share a slow gateway: a few people among hundreds get their fair share, not the end of the queue."""
    monkeypatch.setattr(buckets, "SMALL", 100)  # so that the large one has all shards
    simulation.services.gateway_control.set_rate(4, "tester")
    simulation.add_clients(300, tag="large")
    simulation.add_clients(10, tag="small")
    large = simulation.create_mailing(tag="large", text="large")
    simulation.run_for(30)
    small = simulation.create_mailing(tag="small", text="small")
    finish(simulation, small, limit=60)
    assert simulation.counts(small) == {"total": 10, "sent": 10}
    assert simulation.counts(large)["sent"] < 180


@pytest.mark.usefixtures("sixteen_shards")
def test_a_rate_is_kept_in_every_second_and_follows_a_change(simulation: Simulation) -> None:
    """Set while the mailing runs, for the mailing and for the gateway; the lower one counts."""
    simulation.add_clients(420)
    mailing = simulation.create_mailing(lasts=7200, rate_limit=3)
    simulation.run_for(20)
    simulation.set_rate(mailing, 6)
    changed_at = simulation.clock.now()
    simulation.run_for(40)
    simulation.services.gateway_control.set_rate(2, "tester")
    limited_at = simulation.clock.now()
    simulation.run_for(40)
    in_between = changed_at + timedelta(seconds=30)
    assert busiest_second(simulation, mailing.start_at, changed_at) <= 3
    assert 3 < busiest_second(simulation, in_between, limited_at) <= 6
    assert 1 < busiest_second(simulation, limited_at + timedelta(seconds=10), simulation.clock.now()) <= 2


def busiest_second(simulation: Simulation, since: datetime, until: datetime) -> int:
    """The most calls in any second of a span."""
    moments = [call.at for call in simulation.gateway.log if since <= call.at < until]
    return max(sum(moment <= other < moment + timedelta(seconds=1) for other in moments) for moment in moments)


def test_clients_who_opt_out_after_dispatch_are_skipped(simulation: Simulation) -> None:
    """The mailing is paused meanwhile, and resumed."""
    clients = simulation.add_clients(10)
    mailing = simulation.create_mailing(starts_in=1)
    simulation.services.gateway_control.hold("tester")
    simulation.run_for(30)
    assert simulation.counts(mailing) == {"total": 10, "queued": 10}
    simulation.opt_out(clients[0])
    simulation.services.gateway_control.close("tester")
    finish(simulation, mailing)
    assert simulation.counts(mailing) == {"total": 10, "sent": 9, "skipped": 1}
    assert simulation.gateway_id(mailing, clients[0]) not in simulation.gateway.calls()


@pytest.mark.parametrize("policy", [WindowPolicy.DEFER, WindowPolicy.SKIP])
def test_nobody_is_called_outside_their_local_hours(simulation: Simulation, policy: WindowPolicy) -> None:
    """At nine in London it is noon in Moscow and four in the morning in New York."""
    for number, zone in enumerate(("Europe/London", "Europe/Moscow", "America/New_York")):
        simulation.add_clients(5, tag="vip", operator=f"91{number}", timezone=zone)
    window = LocalWindow.parse("10:00", "18:00", policy)
    mailing = simulation.create_mailing(lasts=86_400, local_window=window)
    simulation.run_for(1.1 * 3600)  # until it is ten in London
    simulation.run_quietly_for(5 * 3600)  # and in New York
    finish(simulation, mailing, limit=86_400)
    zones = {client.phone_number: client.timezone for client in simulation.everybody()}
    assert all(window.allows(call.at, zones[call.phone_number]) for call in simulation.gateway.log)
    expected = {"total": 15, "sent": 15} if policy is WindowPolicy.DEFER else {"total": 15, "sent": 5, "skipped": 10}
    assert simulation.counts(mailing) == expected


def test_a_late_unit_for_an_earlier_revision_does_nothing(simulation: Simulation) -> None:
    """The mailing was changed after the unit was sent."""
    simulation.add_clients(3)
    mailing = simulation.create_mailing(starts_in=3600, lasts=7200)
    simulation.services.dispatcher._dispatch_queue.send([Unit(UnitKind.LAUNCH, mailing.mailing_id, revision=99).body()])
    simulation.run_for(600)
    assert simulation.status(mailing) == "scheduled"
    assert not simulation.gateway.log
