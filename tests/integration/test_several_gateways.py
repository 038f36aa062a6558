"""Several gateways: each has its own circuit and rate, and what one may have sent goes to no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from unittest import mock

import pytest

from chalicelib.api.exposition import exposition
from chalicelib.domain.mailings import Mailing, OnUnknown
from chalicelib.domain.messages import Attempt, Outcome, gateway_id_for
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.statuses import MessageStatus
from chalicelib.services.gateways import Gateways
from chalicelib.storage.bucket_rows import Bucket, Place, bucket_of_item
from chalicelib.storage.message_lines import attempts_of, attempts_text
from tests.factories import START, MessageFactory
from tests.simulation.trouble import HANG, answer_to
from tests.support.simulation import Simulation, new_simulation

PEOPLE = 60


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """Two gateways that recognise ids, each for half of the messages."""
    with new_simulation(several=True, circuit_threshold=3) as made:
        made.add_clients(PEOPLE)
        yield made


def accepted(simulation: Simulation) -> Counter[str]:
    """How many messages each gateway has accepted."""
    return Counter(call.gateway for call in simulation.gateway.log if call.outcome is Outcome.ACCEPTED)


def attempts_at(simulation: Simulation, mailing: Mailing) -> dict[str, Counter[Outcome]]:
    """How the attempts of a mailing's messages ended, by gateway."""
    found = {"": Counter[Outcome](), "other": Counter[Outcome]()}
    for row in simulation.rows(mailing):
        for attempt in row.attempts:
            found[attempt.gateway][attempt.outcome] += 1
    return found


def once_each(simulation: Simulation) -> bool:
    return set(simulation.gateway.accepted().values()) == {1} and len(simulation.gateway.accepted()) == PEOPLE


def test_each_gets_its_share(simulation: Simulation) -> None:
    """Expects about half for each, and the ledger to name the gateway of each message."""
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing)
    shares = accepted(simulation)
    assert once_each(simulation)
    assert min(shares.values()) > PEOPLE / 4
    told = attempts_at(simulation, mailing)
    assert {name: told[name][Outcome.ACCEPTED] for name in told} == dict(shares)


def test_what_one_certainly_did_not_accept_goes_to_the_other(simulation: Simulation) -> None:
    """Expects only its own circuit to open, everybody to get one message, and it to be tried again."""
    simulation.other.down = True
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, limit=120)
    assert once_each(simulation)
    assert accepted(simulation) == {"": PEOPLE}
    told = attempts_at(simulation, mailing)
    assert 0 < told["other"][Outcome.FAILED] < PEOPLE
    first, other = simulation.services.gateways
    assert (first.control.state().circuit, other.control.state().circuit) == ("closed", "open")
    simulation.other.down = False
    simulation.run_for(60)
    simulation.run_until_finished(simulation.create_mailing(text="Again"), limit=120)
    assert other.control.state().circuit == "closed"
    assert accepted(simulation)["other"] > 0


def test_what_one_may_have_accepted_never_goes_to_the_other(simulation: Simulation) -> None:
    """Expects it to wait until that gateway answers again, though the other works all the time."""
    simulation.other.everybody = HANG
    mailing = simulation.create_mailing(on_unknown=OnUnknown.RETRY)
    simulation.run_for(120)
    unsent = [row for row in simulation.rows(mailing) if row.status != "sent"]
    assert unsent
    for row in unsent:
        assert {attempt.gateway for attempt in row.attempts} == {"other"}
    assert not {call.gateway_id for call in simulation.gateway.log if not call.gateway} & {
        gateway_id_for(row.message_id) for row in unsent
    }
    simulation.other.everybody = None
    simulation.run_until_finished(mailing, limit=600)
    assert once_each(simulation)
    assert {row.status for row in simulation.rows(mailing)} == {"sent"}


def test_held_messages_stay_at_the_gateway_that_may_have_them(simulation: Simulation) -> None:
    """Expects messages of unknown outcome to be left to a person, and the other gateway to send all others."""
    simulation.other.everybody = HANG
    mailing = simulation.create_mailing(on_unknown=OnUnknown.HOLD)
    simulation.run_until_finished(mailing, limit=300)
    counts = simulation.counts(mailing)
    assert counts["unknown"] + counts["sent"] == PEOPLE
    unknown = [row for row in simulation.rows(mailing) if row.status == "unknown"]
    assert {attempt.gateway for row in unknown for attempt in row.attempts} == {"other"}
    assert not {gateway_id_for(row.message_id) for row in unknown} & set(simulation.gateway.accepted())
    assert set(simulation.gateway.accepted().values()) == {1}


def test_an_account_without_money_fails_nobody(simulation: Simulation) -> None:
    """Expects an answer about the account to open its circuit at once, and the other gateway to send."""
    simulation.other.everybody = answer_to(402)
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, limit=120)
    assert simulation.counts(mailing) == {"total": PEOPLE, "sent": PEOPLE}
    assert accepted(simulation) == {"": PEOPLE}


def test_a_mailing_that_names_one_waits_for_it(simulation: Simulation) -> None:
    """Expects nothing to go elsewhere, and mailings that name none to go on."""
    simulation.other.down = True
    named = simulation.create_mailing(gateway="other", text="Named")
    simulation.run_for(60)
    assert accepted(simulation) == {}
    simulation.run_until_finished(simulation.create_mailing(text="Any"), limit=120)
    assert accepted(simulation) == {"": PEOPLE}
    simulation.other.down = False
    simulation.run_until_finished(named, limit=600)
    assert accepted(simulation) == {"": PEOPLE, "other": PEOPLE}
    assert {attempt.gateway for row in simulation.rows(named) for attempt in row.attempts} == {"other"}


def test_a_rate_belongs_to_one_gateway(simulation: Simulation) -> None:
    """Expects the other to be as fast as before."""
    first, other = simulation.services.gateways
    other.control.set_rate(2, "tester")
    mailing = simulation.create_mailing()
    simulation.run_for(6)
    assert accepted(simulation)[""] == sum(1 for call in simulation.gateway.log if not call.gateway) > PEOPLE / 4
    simulation.run_until_finished(mailing, limit=600)
    moments = sorted(call.at for call in simulation.gateway.log if call.gateway)
    assert once_each(simulation)
    assert all(later - earlier >= timedelta(seconds=1) for earlier, later in zip(moments, moments[2:], strict=False))
    assert first.control.state().rate is None


def test_the_other_sends_everything_while_one_is_held(simulation: Simulation) -> None:
    """Expects an operator to be able to stop one while the others work."""
    _, other = simulation.services.gateways
    other.control.hold("tester")
    simulation.run_until_finished(simulation.create_mailing(), limit=120)
    assert accepted(simulation) == {"": PEOPLE}
    assert other.control.changes("", 10)[0][0].new == "held"
    assert simulation.services.gateway_control.changes("", 10)[0] == []


def test_everything_waits_without_using_attempts_if_all_are_down(simulation: Simulation) -> None:
    """As with a single gateway: everything is sent once one works again."""
    simulation.other.down = simulation.gateway.down = True
    mailing = simulation.create_mailing()
    simulation.run_for(120)
    waiting = [row for row in simulation.rows(mailing) if row.because(Reason.CIRCUIT_OPEN)]
    assert len(waiting) > PEOPLE / 2
    simulation.gateway.down = False
    simulation.run_until_finished(mailing, limit=600)
    assert accepted(simulation) == {"": PEOPLE}
    assert once_each(simulation)


def test_the_ledger_names_a_gateway_only_if_there_are_several() -> None:
    """Expects the one called default to take no byte, and a claim to name another, for whoever finds it abandoned."""
    first = Attempt(START, 5, Outcome.FAILED, Cause.http(500), 500)
    named = replace(first, gateway="other")
    assert attempts_text([first], 0) == attempts_text([replace(first, gateway="")], 0)
    assert attempts_of(attempts_text([first, named], 0), 0) == (first, named)
    claimed = MessageFactory.build(status=MessageStatus.SENDING, gateway="other", hinted=True, ask=False)
    place = Place(claimed.mailing_id, "00", 1)
    bucket = Bucket(place, {claimed.client_id: claimed}, 1, 1)
    (read,) = bucket_of_item(place.key | bucket.values).messages.values()
    assert (read.gateway, read.hinted, read.ask) == ("other", True, False)
    assert read.with_lost_attempt(START)[-1].gateway == "other"


def test_messages_of_a_removed_gateway_go_to_no_other(simulation: Simulation) -> None:
    """Those that it may have accepted, and those of a mailing that names it; everything else goes on."""
    mailing = simulation.create_mailing()
    message = MessageFactory.build(mailing_id=mailing.mailing_id)
    unknown, failed = (Attempt(START, 5, outcome, gateway="gone") for outcome in (Outcome.UNKNOWN, Outcome.FAILED))
    choices = simulation.services.gateways.choices
    assert choices(message, mailing, [unknown]) == ()
    assert choices(message, replace(mailing, gateway="gone"), []) == ()
    assert set(choices(message, mailing, [failed])) == {"", "other"}
    with new_simulation() as alone:
        assert alone.services.gateways.choices(message, mailing, [unknown]) == ()
        assert alone.services.gateways.choices(message, mailing, []) == ("",)


def test_they_wait_in_the_ledger_until_it_is_back(simulation: Simulation) -> None:
    """Expects a reason that says so, and no attempt."""
    mailing = simulation.create_mailing(gateway="other")
    with mock.patch.object(Gateways, "choices", return_value=()):
        simulation.run_for(30)
    assert {str(row.cause) for row in simulation.rows(mailing)} == {"gateway_gone"}
    simulation.run_until_finished(mailing, limit=600)
    assert accepted(simulation) == {"other": PEOPLE}


def test_each_is_measured_separately(simulation: Simulation) -> None:
    """Expects circuit, calls and duration by gateway, the sum as before, and no label if there is only one."""
    simulation.other.down = True
    mailing = simulation.create_mailing()
    simulation.run_until_finished(mailing, limit=120)
    gauges = simulation.services.gauges.read()
    told = attempts_at(simulation, mailing)
    for name, shown in (("", "default"), ("other", "other")):
        assert gauges.by_gateway[shown].calls.by_outcome[Outcome.ACCEPTED] == told[name][Outcome.ACCEPTED]
    assert gauges.by_gateway["other"].calls.by_outcome[Outcome.FAILED] == told["other"][Outcome.FAILED] > 0
    assert gauges.calls.by_outcome[Outcome.ACCEPTED] == PEOPLE
    text = exposition(gauges)
    assert 'message_service_gateway_circuit{gateway="other",state="open"} 1.0' in text
    assert f'message_service_gateway_calls_total{{gateway="default",outcome="accepted"}} {PEOPLE}.0' in text
    assert 'message_service_gateway_call_duration_seconds_count{gateway="other"}' in text
    assert "gateway=" not in exposition(replace(gauges, by_gateway={}))
