"""Messages of unknown outcome at a gateway that can be asked what happened to them: after 1, 5 and 30 minutes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from chalicelib.domain.errors import Invalid
from chalicelib.domain.faults import Fault
from chalicelib.domain.mailings import Mailing, OnUnknown
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from tests.support.aws import Call
from tests.support.scheduler import Crash
from tests.support.simulation import Simulation, new_simulation

OK = Answer(Outcome.ACCEPTED)
LOST = Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
FOUND = Answer(Outcome.FOUND)
MISSING = Answer(Outcome.MISSING, Cause(Reason.NOT_AT_GATEWAY))
UNCLEAR = Answer(Outcome.UNCLEAR, Cause(Reason.NO_ANSWER))


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """With a gateway that recognises no ids, and can be asked."""
    with new_simulation(gateway_recognises_ids=False, can_be_asked=True) as simulation:
        yield simulation


def lost_at_first(simulation: Simulation, *said: Answer, clients: int = 1) -> Mailing:
    """A mailing whose first calls all end without an answer, and what the gateway says then about each message."""
    simulation.gateway.script = lambda gateway_id, nth: LOST if nth == 1 else OK
    simulation.gateway.asked = lambda gateway_id, nth: said[nth - 1]
    simulation.add_clients(clients)
    return simulation.create_mailing(lasts=86_400)


def asked_after(simulation: Simulation) -> list[int]:
    """The minutes from the first call to each question about the first message."""
    called = simulation.gateway.log[0]
    return [
        round((at - called.at) / timedelta(minutes=1))
        for at, gateway_id in simulation.gateway.questions
        if gateway_id == called.gateway_id
    ]


def outcomes(simulation: Simulation, mailing: Mailing) -> list[str]:
    [row] = simulation.rows(mailing)
    return [str(attempt.outcome) for attempt in row.attempts]


@pytest.mark.parametrize(
    ("said", "minutes", "calls", "ended"),
    [
        ([FOUND], [1], 1, ("sent", None)),
        ([UNCLEAR, FOUND], [1, 5], 1, ("sent", None)),
        ([MISSING, FOUND], [1, 5], 1, ("sent", None)),
        ([MISSING, MISSING], [1, 5], 2, ("sent", None)),
        ([UNCLEAR, MISSING, MISSING], [1, 5, 30], 2, ("sent", None)),
        ([UNCLEAR, UNCLEAR, UNCLEAR], [1, 5, 30], 1, ("unknown", Reason.NOBODY_KNOWS)),
        ([MISSING, UNCLEAR, MISSING], [1, 5, 30], 1, ("unknown", Reason.NOBODY_KNOWS)),
    ],
)
def test_the_gateways_answer_decides(
    simulation: Simulation, said: Sequence[Answer], minutes: list[int], calls: int, ended: tuple[str, Reason | None]
) -> None:
    """A message that it has is sent; one that it does not know, twice, is sent again; for others a person decides."""
    mailing = lost_at_first(simulation, *said)
    simulation.run_until_finished(mailing, 2400)
    [row] = simulation.rows(mailing)
    assert (row.status, row.cause and row.cause.reason) == ended
    assert asked_after(simulation) == minutes
    assert len(simulation.gateway.log) == calls
    assert not row.may_be_twice
    expected = ["unknown", *(str(one.outcome) for one in said)] + ["accepted"] * (calls - 1)
    assert [str(attempt.outcome) for attempt in row.attempts] == expected


def test_asking_uses_no_attempt_and_does_not_affect_the_circuit(simulation: Simulation) -> None:
    """Many at once, all unclear: others are sent meanwhile."""
    mailing = lost_at_first(simulation, UNCLEAR, UNCLEAR, FOUND, clients=40)
    simulation.gateway.script = lambda gateway_id, nth: LOST if gateway_id % 4 == 0 and nth == 1 else OK
    simulation.run_until_finished(mailing, 2400)
    assert {row.status for row in simulation.rows(mailing)} == {"sent"}
    assert max(simulation.gateway.calls().values()) == 1
    assert simulation.services.gateway_control.state().circuit == "closed"


def test_no_question_is_asked_while_sending_is_paused(simulation: Simulation) -> None:
    """The gateway may be down, and its answer would mean nothing."""
    mailing = lost_at_first(simulation, FOUND)
    simulation.run_for(30)
    simulation.services.gateway_control.hold("admin")
    simulation.run_for(600)
    assert simulation.gateway.questions == []
    simulation.services.gateway_control.close("admin")
    simulation.services.feeder.ensure()
    simulation.run_until_finished(mailing, 120)
    assert simulation.counts(mailing)["sent"] == 1
    assert len(simulation.gateway.log) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "place", [2, 7, *(pytest.param(place, marks=pytest.mark.proof) for place in (0, 1, 3, 4, 5, 6, 8, 9, 10, 11))]
)
def test_a_sender_that_dies_while_asking_sends_nothing_twice(place: int, after: bool) -> None:
    """Before or after any of its calls of AWS; expects the next one to ask again."""
    with new_simulation(gateway_recognises_ids=False, can_be_asked=True) as simulation:
        mailing = lost_at_first(simulation, FOUND, FOUND, FOUND)
        simulation.run_for(50)
        seen = 0

        def strike(call: Call) -> None:
            nonlocal seen
            task = simulation.scheduler.current
            if task is not None and task.name.startswith("sender") and "Receive" not in call.operation:
                seen += 1
                if seen == place + 1:
                    raise Crash

        if after:
            simulation.aws.after = strike
        else:
            simulation.aws.before = strike
        simulation.run_until_finished(mailing, 4000)
        assert seen > place
        assert simulation.counts(mailing)["sent"] == 1
        assert len(simulation.gateway.log) == 1


def test_a_sender_that_dies_while_the_gateway_answers_asks_again(simulation: Simulation) -> None:
    """Nobody heard the answer: that question counts as unclear."""
    mailing = lost_at_first(simulation)

    def said(gateway_id: int, nth: int) -> Answer:
        if nth == 1:
            raise Crash
        return FOUND

    simulation.gateway.asked = said
    simulation.run_until_finished(mailing, 4000)
    assert outcomes(simulation, mailing) == ["unknown", "unclear", "found"]
    assert simulation.counts(mailing)["sent"] == 1


def test_a_message_stays_unknown_after_the_end_of_the_window(simulation: Simulation) -> None:
    """It does not become `expired`: the person may have it."""
    mailing = lost_at_first(simulation, UNCLEAR, UNCLEAR, UNCLEAR)
    simulation.run_for(120)
    simulation.services.mailing_actions.cancel(mailing.mailing_id)
    simulation.run_for(600)
    [row] = simulation.rows(mailing)
    assert (row.status, row.ask) == ("unknown", False)


def test_clients_who_opt_out_meanwhile_get_no_second_call(simulation: Simulation) -> None:
    """The question is asked all the same, and its answer says what happened to the first call."""
    mailing = lost_at_first(simulation, MISSING, MISSING)
    simulation.run_for(30)
    simulation.opt_out(simulation.everybody()[0])
    simulation.run_until_finished(mailing, 900)
    [row] = simulation.rows(mailing)
    assert (row.status, row.cause) == ("skipped", Cause(Reason.OPTED_OUT))
    assert len(simulation.gateway.log) == 1


def test_a_person_can_send_it_again(simulation: Simulation) -> None:
    """Then it is sent, not asked about."""
    mailing = lost_at_first(simulation, UNCLEAR, UNCLEAR, UNCLEAR)
    simulation.run_until_finished(mailing, 2400)
    asked = len(simulation.gateway.questions)
    simulation.services.dead_letters.put_back(mailing.mailing_id, [simulation.rows(mailing)[0].client_id], unknown=True)
    simulation.run_until_finished(mailing, 600)
    assert simulation.counts(mailing)["sent"] == 1
    assert (len(simulation.gateway.log), len(simulation.gateway.questions)) == (2, asked)


def test_only_gateways_that_can_be_asked_are_asked(simulation: Simulation) -> None:
    """Expects the default to follow from what the gateway can do, and an impossible choice to be refused."""
    simulation.add_clients(1)
    assert simulation.create_mailing().on_unknown is OnUnknown.ASK
    with new_simulation(gateway_recognises_ids=False) as other:
        other.add_clients(1)
        assert other.create_mailing().on_unknown is OnUnknown.HOLD
        with pytest.raises(Invalid) as caught:
            other.create_mailing(on_unknown=OnUnknown.ASK)
        assert [(one.field, one.fault) for one in caught.value.errors] == [
            ("on_unknown", Fault.GATEWAY_CANNOT_BE_ASKED)
        ]


def test_questions_do_not_count_as_calls_of_the_gateway(simulation: Simulation) -> None:
    """Neither in the totals nor in the share of calls that were not accepted."""
    mailing = lost_at_first(simulation, UNCLEAR, FOUND)
    simulation.run_until_finished(mailing, 2400)
    totals = simulation.services.gauges.read().calls.by_outcome
    assert {str(outcome): count for outcome, count in totals.items() if count} == {"unknown": 1}
    assert {"found", "unclear", "missing"} & set(map(str, totals)) == set()
