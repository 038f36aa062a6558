"""Personal texts: what each client is sent, and what happens to clients who lack a value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.attributes import Attributes
from chalicelib.domain.clients import Client
from chalicelib.domain.mailings import Mailing, Missing
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.sent_texts import NoText
from chalicelib.domain.sms import part_count
from chalicelib.gateways.base import Answer
from tests.support.simulation import Simulation, new_simulation

SECOND = timedelta(seconds=1)
HELLO = "Hello {{first_name}}!"


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with new_simulation() as simulation:
        yield simulation


def person(simulation: Simulation, tag: str = "vip", *, language: str = "", **values: Any) -> Client:
    """A client with a tag of their own or another one, and these attributes."""
    place = person.__dict__["n"] = person.__dict__.get("n", 0) + 1
    number = f"9{place % 100:02d}"
    [client] = simulation.add_clients(1, tag=tag, operator=number, language=language, attributes=Attributes.of(values))
    return client


def texts(simulation: Simulation) -> dict[str, str]:
    """The last text that each number was sent."""
    return {call.phone_number: call.text for call in simulation.gateway.log}


def test_everybody_gets_their_own_text(simulation: Simulation) -> None:
    anna = person(simulation, first_name="Anna", city="Riga", points=12, vip=True)
    bob = person(simulation, first_name="{{city}}", city="%(x)s", vip=False)
    text = "Hi {{first_name}}{{#city}} in {{city}}{{/city}}: {{points|no}} points{{#vip}}, dear guest{{/vip}}."
    mailing = simulation.create_mailing(text=text)
    simulation.run_until_finished(mailing)
    assert texts(simulation) == {
        anna.phone_number: "Hi Anna in Riga: 12 points, dear guest.",
        bob.phone_number: "Hi {{city}} in %(x)s: no points.",
    }


def test_the_text_is_in_the_language_of_the_client(simulation: Simulation) -> None:
    """Expects the whole language code to be tried first, then its first part, then the text for all others."""
    languages = ("ru", "pt", "pt-BR", "ru-RU", "de", "")
    clients = {language: person(simulation, language=language, name="X") for language in languages}
    mailing = simulation.create_mailing(
        text="en {{name}}", texts=(("pt", "pt {{name}}"), ("pt-BR", "br {{name}}"), ("ru", "ru"))
    )
    simulation.run_until_finished(mailing)
    sent = texts(simulation)
    assert {language: sent[client.phone_number] for language, client in clients.items()} == {
        "ru": "ru", "ru-RU": "ru", "pt": "pt X", "pt-BR": "br X", "de": "en X", "": "en X",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("missing", "status", "sent"),
    [(Missing.SKIP, "skipped", None), (Missing.SEND_EMPTY, "sent", "Hello !"), (Missing.REFUSE, "failed", None)],
)
def test_clients_who_lack_a_value_are_treated_as_the_mailing_says(
    simulation: Simulation, missing: Missing, status: str, sent: str | None
) -> None:
    """Expects the others to get theirs, and the row to name the value."""
    anna, nobody = person(simulation, first_name="Anna"), person(simulation)
    mailing = simulation.create_mailing(text=HELLO, missing=missing)
    preview = simulation.services.previews.ordered(mailing)
    assert preview.sample is not None
    assert preview.sample.missing == {"first_name": 1}
    simulation.run_until_finished(mailing)
    rows = {row.phone_number: row for row in simulation.rows(mailing)}
    assert rows[nobody.phone_number].status == status
    assert texts(simulation).get(nobody.phone_number) == sent
    assert texts(simulation)[anna.phone_number] == "Hello Anna!"
    if sent is None:
        assert rows[nobody.phone_number].cause == Cause(Reason.VALUE_MISSING, "first_name")
        detail = simulation.services.statistics.detail(mailing.mailing_id)[1]
        assert {str(cause): count for (_, cause), count in detail.by_cause.items()} == {"value_missing:first_name": 1}


def test_clients_who_get_the_value_later_get_the_message_by_a_retry(simulation: Simulation) -> None:
    nobody = person(simulation)
    mailing = simulation.create_mailing(text=HELLO, missing=Missing.REFUSE)
    simulation.run_until_finished(mailing)
    assert simulation.counts(mailing) == {"total": 1, "failed": 1}
    client = simulation.services.clients.get(nobody.client_id)
    fields = replace(client.fields, attributes={"first_name": "Bob"})
    simulation.services.clients.change(client.client_id, fields)
    simulation.services.mailing_actions.retry_failed(mailing.mailing_id)
    simulation.run_until_finished(mailing)
    assert texts(simulation) == {nobody.phone_number: "Hello Bob!"}
    assert simulation.counts(mailing) == {"total": 1, "sent": 1}


@pytest.mark.parametrize(
    ("value", "text", "reason"),
    [
        ("x" * 200, "{{v}}" * 9, Reason.TEXT_TOO_LONG),
        ("x" * 160, "{{v}}" * 9, None),
        (" ", "{{v|}}", Reason.TEXT_EMPTY),
    ],
)
def test_a_text_that_becomes_too_long_or_empty_is_refused_for_that_person(
    simulation: Simulation, value: str, text: str, reason: Reason | None
) -> None:
    """Expects it never to be cut, and ten parts to be sent."""
    person(simulation, v=value)
    mailing = simulation.create_mailing(text=text, missing=Missing.SEND_EMPTY)
    simulation.run_until_finished(mailing)
    [row] = simulation.rows(mailing)
    assert (row.cause and row.cause.reason) == reason
    assert row.status == ("failed" if reason else "sent")
    assert [part_count(call.text) for call in simulation.gateway.log] == ([] if reason else [10])


def test_the_preview_shows_what_is_sent(simulation: Simulation) -> None:
    for name in ("Anna", "Bob", "Владимир", "x" * 160):
        person(simulation, first_name=name)
    mailing = simulation.create_mailing(text=HELLO, starts_in=60)
    preview = simulation.services.previews.ordered(mailing)
    assert preview.sample is not None
    assert preview.sample.parts == [1, 1, 1, 2]
    assert preview.parts == 5
    simulation.run_until_finished(mailing)
    assert sorted(one.text for one in preview.sample.texts) == sorted(texts(simulation).values())


def test_a_message_that_may_have_been_taken_is_not_called_skipped(simulation: Simulation) -> None:
    """Expects `unknown` if the value disappears after a call of unknown outcome."""
    anna = person(simulation, first_name="Anna")
    simulation.gateway.script = lambda gateway_id, nth: Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
    mailing = simulation.create_mailing(text=HELLO, lasts=600)
    simulation.run_for(3)
    client = simulation.services.clients.get(anna.client_id)
    simulation.services.clients.change(client.client_id, replace(client.fields, attributes={}))
    simulation.run_until_finished(mailing)
    assert simulation.counts(mailing) == {"total": 1, "unknown": 1}


def test_a_rate_in_parts_holds_for_texts_of_different_lengths() -> None:
    """Expects no second with more parts than the rate, except for one message."""
    rate = 10
    with new_simulation(counts_parts=True) as simulation:
        simulation.services.gateway_control.set_rate(rate, "tester")
        for place in range(40):
            person(simulation, words="See you tomorrow at nine. " * (1 if place % 3 else 15))
        mailing = simulation.create_mailing(text="{{words}}", lasts=86_400)
        simulation.run_until_finished(mailing, 120)
        calls = [(call.at, part_count(call.text)) for call in simulation.gateway.log]
    assert len(calls) == 40
    for start, _ in calls:
        within = [parts for at, parts in calls if start <= at < start + SECOND]
        assert sum(within) - max(within) < rate


def test_a_plain_mailing_reads_no_more_of_clients_than_before(simulation: Simulation) -> None:
    """Expects language and attributes to be read only if a text may need them."""
    person(simulation, first_name="Anna")
    asked: list[bool] = []
    before = simulation.aws.before

    def note(call: Any) -> None:
        before(call)
        if call.operation == "dynamodb.BatchGetItem":
            asked.append(b"attributes" in call.body)

    simulation.aws.before = note
    simulation.run_until_finished(simulation.create_mailing())
    assert asked
    assert not any(asked)
    simulation.run_until_finished(simulation.create_mailing(text=HELLO))
    assert any(asked)


def _mailing(simulation: Simulation, mailing: Mailing) -> Mailing:
    return simulation.services.mailings.get(mailing.mailing_id)


def test_a_mailing_keeps_its_texts(simulation: Simulation) -> None:
    person(simulation)
    fields: dict[str, Any] = {"texts": (("de", "Hallo"), ("ru", "Привет")), "missing": Missing.REFUSE}
    kept = _mailing(simulation, simulation.create_mailing(starts_in=60, **fields))
    assert (kept.texts, kept.missing) == (fields["texts"], fields["missing"])


def history(simulation: Simulation, mailing: Mailing) -> dict[str, str | NoText]:
    """The texts that can be read afterwards, by number."""
    return {
        row.phone_number: simulation.services.messages.detail(row.message_id).text for row in simulation.rows(mailing)
    }


def test_afterwards_everybodys_text_can_be_read(simulation: Simulation) -> None:
    """Expects what the gateway was given, whatever happened to the client since, and nothing for those who got
    nothing."""
    anna = person(simulation, first_name="Anna, the/first%", language="ru")
    bob, nobody = person(simulation, first_name="Bob"), person(simulation)
    mailing = simulation.create_mailing(text=HELLO, texts=(("ru", "Привет, {{first_name}}"),))
    simulation.run_until_finished(mailing)
    for client in (anna, bob):
        now = simulation.services.clients.get(client.client_id)
        simulation.services.clients.change(client.client_id, replace(now.fields, attributes={}, language=""))
    assert history(simulation, mailing) == {**texts(simulation), nobody.phone_number: NoText.NOT_CALLED}
    assert history(simulation, mailing)[anna.phone_number] == "Привет, Anna, the/first%"


def test_the_text_is_that_of_the_call_that_may_have_been_accepted(simulation: Simulation) -> None:
    """Expects no later call that the gateway certainly refused to replace it."""
    anna = person(simulation, first_name="Anna")
    unknown, refused = Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER)), Answer(Outcome.REFUSED, Cause.http(400), 400)
    simulation.gateway.script = lambda gateway_id, nth: unknown if nth == 1 else refused
    mailing = simulation.create_mailing(text=HELLO)
    simulation.scheduler.run_until(simulation.clock.now() + 60 * SECOND, lambda: bool(simulation.gateway.log))
    client = simulation.services.clients.get(anna.client_id)
    simulation.services.clients.change(client.client_id, replace(client.fields, attributes={"first_name": "Ann"}))
    simulation.run_until_finished(mailing)
    assert [call.text for call in simulation.gateway.log] == ["Hello Anna!", "Hello Ann!"]
    assert simulation.counts(mailing) == {"total": 1, "unknown": 1}
    assert history(simulation, mailing) == {anna.phone_number: "Hello Anna!"}


def test_a_mailing_can_keep_no_values(simulation: Simulation) -> None:
    """Expects none in the ledger, and none that are too large, which the row says."""
    anna = person(simulation, first_name="Anna")
    forgetful = simulation.create_mailing(text=HELLO, keep_values=False)
    simulation.run_until_finished(forgetful)
    assert history(simulation, forgetful) == {anna.phone_number: NoText.NOT_KEPT}
    assert not any("Anna" in str(item) for item in simulation.ledger_items())
    long = person(simulation, tag="long", first_name="x" * 301)
    mailing = simulation.create_mailing(text=HELLO, tag="long")
    simulation.run_until_finished(mailing)
    assert history(simulation, mailing) == {long.phone_number: NoText.TOO_LARGE}


def test_keeping_values_needs_no_extra_call(simulation: Simulation) -> None:
    """Expects as many calls of the tables as for a mailing that keeps none."""
    person(simulation, first_name="Anna")
    calls = []
    for keep in (True, False, True, False):
        before = len(simulation.aws.calls)
        simulation.run_until_finished(simulation.create_mailing(text=HELLO, keep_values=keep))
        ledger = [one for one in simulation.aws.calls[before:] if one.endswith("BatchExecuteStatement")]
        calls.append(len(ledger))
    assert calls[0] == calls[1] == calls[2] == calls[3]
