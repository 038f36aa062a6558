"""What the gateway's answers mean for messages, for the pace and for the circuit, in the real service."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from chalicelib.domain.mailings import OnUnknown
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from tests.support.simulation import Simulation, new_simulation

OK = Answer(Outcome.ACCEPTED)


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """With two senders that take few hints at a time."""
    with new_simulation() as simulation:
        yield simulation


def statuses(simulation: Simulation, mailing: object) -> dict[str, int]:
    counts = simulation.counts(mailing)  # type: ignore[arg-type]
    return {name: count for name, count in counts.items() if name != "total"}


@pytest.mark.parametrize(("clients", "status"), [(120, 403), *((3, status) for status in (401, 402, 403, 404, 407))])
def test_an_answer_about_the_account_fails_nobody(simulation: Simulation, status: int, clients: int) -> None:
    """Everybody waits with the gateway's own words as the reason, few calls are made, and all is sent afterwards."""
    simulation.gateway.everybody = Answer(Outcome.BLOCKED, Cause.http(status), status, words="Pay first")
    simulation.add_clients(clients)
    mailing = simulation.create_mailing(lasts=86_400)
    simulation.run_for(600)
    assert set(statuses(simulation, mailing)) <= {"waiting", "queued"}
    assert sum(statuses(simulation, mailing).values()) == clients
    control = simulation.services.gateway_control.state()
    assert (control.circuit, control.cause, control.reason) == ("open", Cause.http(status), "Pay first")
    assert len(simulation.gateway.log) < 120  # 50 that were on their way, and probes
    simulation.gateway.everybody = None
    simulation.run_until_finished(mailing, 600)
    assert statuses(simulation, mailing) == {"sent": clients}
    assert simulation.bodies(simulation.settings.send_dead_letter_queue) == []


def test_an_answer_about_the_account_for_one_message_uses_its_attempts(simulation: Simulation) -> None:
    """Others are accepted meanwhile, so it must be the message after all; nobody else waits for it."""
    clients = simulation.add_clients(60)
    mailing = simulation.create_mailing(lasts=86_400, rate_limit=1)
    bad = simulation.gateway_id(mailing, clients[7])
    forbidden = Answer(Outcome.BLOCKED, Cause.http(403), 403)
    simulation.gateway.script = lambda gateway_id, nth: forbidden if gateway_id == bad else OK
    for _ in range(30):  # something else is always being sent
        simulation.run_for(120)
        if not {"waiting", "queued"} & set(statuses(simulation, mailing)):
            break
        more = simulation.create_mailing(tag="vip", text="more", rate_limit=1)
        simulation.gateway.script = lambda gateway_id, nth: forbidden if gateway_id == bad else OK
        del more
    assert statuses(simulation, mailing) == {"sent": 59, "failed": 1}


def test_the_same_refusal_for_everybody_is_not_believed(simulation: Simulation) -> None:
    """Twenty different people in a row are refused with the same words: it is the gateway, and they are put back."""
    simulation.gateway.everybody = Answer(Outcome.REFUSED, Cause.http(400), 400)
    simulation.add_clients(150)
    mailing = simulation.create_mailing(lasts=86_400)
    simulation.run_for(300)
    assert set(statuses(simulation, mailing)) <= {"waiting", "queued"}, statuses(simulation, mailing)
    assert simulation.services.gateway_control.state().circuit == "open"
    simulation.gateway.everybody = None
    simulation.run_until_finished(mailing, 600)
    assert statuses(simulation, mailing) == {"sent": 150}


def test_a_small_mailing_that_was_refused_as_a_whole_is_reopened_too(simulation: Simulation) -> None:
    """It had ended before another mailing showed that it was the gateway."""
    simulation.gateway.everybody = Answer(Outcome.REFUSED, Cause.http(400), 400)
    simulation.add_clients(12, tag="first")
    simulation.add_clients(12, tag="second")
    first = simulation.create_mailing(tag="first", lasts=86_400)
    simulation.run_until_finished(first, 300)
    assert statuses(simulation, first) == {"failed": 12}
    second = simulation.create_mailing(tag="second", lasts=86_400)
    simulation.run_for(120)
    simulation.gateway.everybody = None
    simulation.run_until_finished(second, 600)
    simulation.run_until_finished(first, 600)
    assert (statuses(simulation, first), statuses(simulation, second)) == ({"sent": 12}, {"sent": 12})


def test_refusals_among_accepted_messages_are_final(simulation: Simulation) -> None:
    """Nineteen bad numbers in a hundred are just that."""
    clients = simulation.add_clients(100)
    mailing = simulation.create_mailing(lasts=86_400)
    bad = {simulation.gateway_id(mailing, client) for client in clients[::5][:19]}
    refused = Answer(Outcome.REFUSED, Cause.http(400), 400)
    simulation.gateway.script = lambda gateway_id, nth: refused if gateway_id in bad else OK
    simulation.run_until_finished(mailing, 600)
    assert statuses(simulation, mailing) == {"sent": 81, "failed": 19}
    assert simulation.services.gateway_control.state().circuit == "closed"


def test_a_refusal_does_not_close_the_circuit(simulation: Simulation) -> None:
    """The gateway was down, and now refuses the first message: the others wait until it accepts one."""
    simulation.add_clients(40)
    simulation.gateway.everybody = Answer(Outcome.FAILED, Cause.http(500), 500)
    mailing = simulation.create_mailing(lasts=86_400)
    simulation.run_for(30)
    assert simulation.services.gateway_control.state().circuit == "open"
    simulation.gateway.everybody = Answer(Outcome.REFUSED, Cause.http(400), 400)
    simulation.run_for(60)
    assert simulation.services.gateway_control.state().circuit == "open"
    simulation.gateway.everybody = None
    simulation.run_until_finished(mailing, 900)
    counts = statuses(simulation, mailing)
    assert counts.pop("failed", 0) <= 12  # three for each probe
    assert set(counts) == {"sent"}


# -- too many


@pytest.mark.parametrize(("capacity", "clients"), [(10, 600), pytest.param(50, 900, marks=pytest.mark.proof)])
def test_sending_slows_down_if_the_gateway_says_too_many(capacity: int, clients: int) -> None:
    """Nobody fails, no attempt is used up, and it takes little longer than the gateway needs."""
    with new_simulation(sender_batch=None) as simulation:
        simulation.gateway.capacity = capacity
        simulation.gateway.latency = timedelta(milliseconds=1)  # calls of a sender follow each other here
        simulation.add_clients(clients)
        mailing = simulation.create_mailing(lasts=86_400)
        began = simulation.clock.now()
        simulation.run_until_finished(mailing, 1200)
        took = (simulation.gateway.log[-1].at - began).total_seconds()
        assert statuses(simulation, mailing) == {"sent": clients}
        assert took < 1.3 * clients / capacity
        refused = [call for call in simulation.gateway.log if call.answered is Outcome.THROTTLED]
        assert len(refused) < 0.5 * clients
        # Senders have what is queued in hand before they know; after the first second hardly anything is refused.
        assert len([call for call in refused if call.at > began + timedelta(seconds=1)]) < 0.08 * clients
        assert all(row.forgiven == len(row.attempts) - 1 for row in simulation.rows(mailing))


def test_a_pause_that_the_gateway_asks_for_is_kept(simulation: Simulation) -> None:
    """For as long as it asks for, within limits, and by every sender."""
    simulation.add_clients(30)
    paused = Answer(Outcome.THROTTLED, Cause.http(429), 429, retry_after=40)
    answered: list[int] = []

    def script(gateway_id: int, nth: int) -> Answer:
        answered.append(gateway_id)
        return paused if len(answered) == 5 else OK

    simulation.gateway.script = script
    mailing = simulation.create_mailing(lasts=86_400)
    simulation.run_until_finished(mailing, 600)
    told_at = simulation.gateway.log[4].at
    later = [call.at - told_at for call in simulation.gateway.log[5:]]
    assert statuses(simulation, mailing) == {"sent": 30}
    assert [span for span in later if timedelta(seconds=3) < span < timedelta(seconds=40)] == []
    assert max(later) >= timedelta(seconds=40)


# -- unknown outcomes


@pytest.mark.parametrize(("recognises", "choice"), [(False, "hold"), (True, "retry")])
def test_a_message_of_unknown_outcome_is_retried_if_the_gateway_recognises_ids(recognises: bool, choice: str) -> None:
    """Unless the mailing says otherwise."""
    with new_simulation(gateway_recognises_ids=recognises) as simulation:
        simulation.add_clients(1)
        assert simulation.services.mailings.get(simulation.create_mailing().mailing_id).on_unknown == choice


@pytest.mark.parametrize("hold", [True, False])
def test_people_who_may_have_got_it_twice_are_counted(hold: bool) -> None:
    """A slow gateway that recognises no ids: nobody with `hold`, and those whom the ledger names with `retry`."""
    with new_simulation(gateway_recognises_ids=False) as simulation:
        simulation.add_clients(50)
        choice = OnUnknown.HOLD if hold else OnUnknown.RETRY
        mailing = simulation.create_mailing(lasts=86_400, on_unknown=choice)
        slow = {simulation.gateway_id(mailing, client) for client in simulation.everybody()[:7]}
        lost = Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
        simulation.gateway.script = lambda gateway_id, nth: lost if gateway_id in slow and nth == 1 else OK
        simulation.run_until_finished(mailing, 1200)
        state, counters = simulation.services.statistics.detail(mailing.mailing_id)
        assert counters.maybe_twice == (0 if hold else 7)
        assert statuses(simulation, mailing) == ({"sent": 43, "unknown": 7} if hold else {"sent": 50})
        assert state.mailing.status == "finished"
