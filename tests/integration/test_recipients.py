"""Mailings to a file of numbers of their own: each number gets one message, and the directory does not change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.domain.attributes import Attributes
from chalicelib.domain.errors import Invalid
from chalicelib.domain.faults import Fault
from chalicelib.domain.imports import FilePart, ImportOptions
from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.segments import Segment
from chalicelib.gateways.base import Answer
from chalicelib.services.audiences import Headcount
from chalicelib.services.mailing_fields import MailingFields, missed_by
from tests.support.simulation import Simulation, new_simulation

REFUSED = Answer(Outcome.REFUSED, Cause.http(400), 400)
FOR_MAILING = ImportOptions(for_mailing=True)
FILE = "phone_number,First name,Code\n+447700900001,Anna,007\n+447700900002,Bob,12\n"


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with new_simulation(workers_of={"tick": 1, "dispatcher": 3, "sender": 2}) as simulation:
        yield simulation


def uploaded(simulation: Simulation, text: str) -> Segment:
    """A file of recipients that was read to its end, as a mailing names it."""
    started = simulation.services.imports.start(text, "tester", FOR_MAILING)
    simulation.run_for(5)
    assert simulation.services.imports.file(started.import_id).finished
    return Segment(recipients=started.import_id)


def numbers(count: int) -> str:
    return "".join(f"+7916{place:07d}\n" for place in range(count))


def texts(simulation: Simulation) -> dict[str, str]:
    """The text that each number was sent; fails if a number was sent several."""
    assert len(simulation.gateway.log) == len({call.phone_number for call in simulation.gateway.log})
    return {call.phone_number: call.text for call in simulation.gateway.log}


def faults(refused: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, Fault]]:
    return [(one.field, one.fault) for one in refused.value.errors]


def test_each_number_of_the_file_gets_its_own_text(simulation: Simulation) -> None:
    """Expects columns of any name to be values, and nobody to be added to the directory."""
    file = uploaded(simulation, FILE)
    mailing = simulation.create_mailing(segment=file, text="{{first_name}}: {{code}}")
    simulation.run_until_finished(mailing)
    assert texts(simulation) == {"+447700900001": "Anna: 007", "+447700900002": "Bob: 12"}
    assert simulation.everybody() == []
    assert simulation.counts(mailing) == {"total": 2, "sent": 2}


def test_values_that_the_file_lacks_are_taken_from_the_client(simulation: Simulation) -> None:
    """Expects the file's values to come first, and the message to be in the client's history."""
    [client] = simulation.add_clients(1, language="ru", attributes=Attributes.of({"name": "Olga", "code": "old"}))
    file = uploaded(simulation, f"phone,code\n{client.phone_number},new\n")
    mailing = simulation.create_mailing(segment=file, text="-", texts=(("ru", "{{name}} {{code}} {{phone_number}}"),))
    simulation.run_until_finished(mailing)
    assert texts(simulation) == {client.phone_number: f"Olga new {client.phone_number}"}
    assert simulation.everybody() == [client]
    history = simulation.services.messages.history(client.client_id, None, "", 10)
    assert [found.mailing_id for found, _ in history.entries] == [mailing.mailing_id]


def test_clients_who_opted_out_get_nothing(simulation: Simulation) -> None:
    """Expects an opt-out to count in the directory, of the client who has the number now, and in the file."""
    out, moved = simulation.add_clients(2)
    simulation.opt_out(out)
    there = replace(
        moved, phone_number="+447700900002", renumbered=True, opted_out=True, updated_at=simulation.clock.now()
    )
    simulation.services.clients._clients.change(moved, there)
    file = uploaded(
        simulation,
        f"phone,opted_out\n{out.phone_number},\n{moved.phone_number},no\n+447700900001,yes\n+447700900002,\n"
        "+447700900003,\n+447700900003,yes\n",
    )
    mailing = simulation.create_mailing(segment=file)
    simulation.run_until_finished(mailing)
    assert set(texts(simulation)) == {moved.phone_number}
    assert simulation.counts(mailing) == {"total": 5, "sent": 1, "skipped": 4}
    assert {row.cause.reason for row in simulation.rows(mailing) if row.cause} == {Reason.OPTED_OUT}


def test_an_opt_out_after_the_expansion_counts(simulation: Simulation) -> None:
    """Expects the sender to check again: a client who was there, and one who was added meanwhile."""
    client, *_ = simulation.add_clients(1)
    file = uploaded(simulation, f"phone\n{client.phone_number}\n+447700900001\n")
    window = LocalWindow.parse("12:00", "20:00", WindowPolicy.DEFER)
    mailing = simulation.create_mailing(segment=file, lasts=6 * 3600, local_window=window)
    simulation.run_for(60)
    assert {row.status for row in simulation.rows(mailing)} == {"waiting"}
    simulation.opt_out(client)
    simulation.services.clients._clients.create(
        replace(client, client_id="", phone_number="+447700900001", opted_out=True)
    )
    simulation.run_until_finished(mailing, 5 * 3600)
    assert simulation.gateway.log == []
    assert simulation.counts(mailing) == {"total": 2, "skipped": 2}


def test_the_time_zone_is_that_of_the_file_or_else_of_the_client(simulation: Simulation) -> None:
    [client] = simulation.add_clients(1, timezone="Asia/Tokyo")
    file = uploaded(
        simulation, f"phone,timezone\n{client.phone_number},\n+447700900001,Europe/Moscow\n+447700900002,\n"
    )
    mailing = simulation.create_mailing(segment=file)
    simulation.run_until_finished(mailing)
    zones = {row.phone_number: row.timezone for row in simulation.rows(mailing)}
    assert zones == {client.phone_number: "Asia/Tokyo", "+447700900001": "Europe/Moscow", "+447700900002": "UTC"}


def test_many_numbers_each_get_one_message(simulation: Simulation) -> None:
    """Expects more than one page of each shard, with a number twice in one part and again in the next."""
    text = "phone_number\n" + numbers(3000)
    first = simulation.services.imports.start(text + "+79160000000\n", "tester", FOR_MAILING, FilePart(parts=2))
    simulation.services.imports.start(
        "phone_number\n+79160000001\n+79169999999\n", "tester", None, FilePart(first.import_id, 3001, 2)
    )
    simulation.run_for(20)
    file = simulation.services.imports.file(first.import_id)
    assert (file.finished, file.done, file.rejected) == (True, 3001, 2)
    mailing = simulation.create_mailing(segment=Segment(recipients=first.import_id))
    simulation.run_until_finished(mailing)
    assert len(texts(simulation)) == 3001
    assert simulation.counts(mailing) == {"total": 3001, "sent": 3001}


def test_an_opt_out_in_another_part_counts(simulation: Simulation) -> None:
    """Expects it in whatever order the parts are written, and in a rejected row."""
    header = "phone_number,opted_out,timezone\n"
    options, imports = FOR_MAILING, simulation.services.imports
    first = imports.start(f"{header}+447700900001,yes,Mars\n+447700900002,,\n", "tester", options, FilePart(parts=2))
    imports.start(f"{header}+447700900001,,\n+447700900002,yes,\n", "tester", None, FilePart(first.import_id, 2, 2))
    simulation.run_for(20)
    mailing = simulation.create_mailing(segment=Segment(recipients=first.import_id))
    simulation.run_until_finished(mailing)
    assert simulation.counts(mailing) == {"total": 2, "skipped": 2}


def test_a_file_belongs_to_one_mailing(simulation: Simulation) -> None:
    """Expects a second mailing, and a change to it, to be refused, except for one to those whom the first did not
    reach."""
    file = uploaded(simulation, FILE)
    mailing = simulation.create_mailing(segment=file, starts_in=3600, lasts=60)
    other = simulation.create_mailing(starts_in=7200)
    with pytest.raises(Invalid) as refused:
        simulation.create_mailing(segment=file)
    assert faults(refused) == [("clients.recipients", Fault.RECIPIENTS_USED)]
    with pytest.raises(Invalid) as refused:
        simulation.services.mailings.change(other.mailing_id, replace(MailingFields.of(other), segment=file))
    assert faults(refused) == [("clients.recipients", Fault.RECIPIENTS_USED)]
    simulation.services.mailings.change(mailing.mailing_id, replace(MailingFields.of(mailing), text="Bye {{code}}"))


def test_two_mailings_at_once_do_not_get_the_same_file(simulation: Simulation) -> None:
    """Expects the write itself to refuse the second one."""
    file = uploaded(simulation, FILE)
    now = simulation.clock.now()
    simulation.services.recipients.get(file.recipients)
    fields = MailingFields("Hello", file, now, now + timedelta(hours=1))
    first, second = (fields.ordered(f"0{place}" * 13, "", now, "hold") for place in "12")  # type: ignore[arg-type]
    repository = simulation.services.mailings._mailings
    repository.create(first)
    repository.create(first)  # whose answer was lost
    with pytest.raises(Invalid) as refused:
        repository.create(second)
    assert faults(refused) == [("clients.recipients", Fault.RECIPIENTS_USED)]


def test_those_who_got_nothing_can_get_another_mailing_with_the_values_of_the_file(simulation: Simulation) -> None:
    client, *_ = simulation.add_clients(1)
    simulation.opt_out(client)
    file = uploaded(simulation, FILE + f"{client.phone_number},Eve,1\n")
    mailing = simulation.create_mailing(segment=file, text="{{code}}")
    simulation.gateway.everybody = REFUSED
    simulation.run_until_finished(mailing)
    failed = {row.phone_number for row in simulation.rows(mailing) if row.status == "failed"}
    simulation.gateway.everybody = None
    simulation.gateway.log.clear()
    again = simulation.create_mailing(segment=missed_by(mailing), text="again {{code}}")
    simulation.run_until_finished(again)
    assert len(failed) == 2
    assert texts(simulation) == {"+447700900001": "again 007", "+447700900002": "again 12"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [("phone_number\n", None), ("phone_number\n+447700900001\n", Fault.NO_SUCH_RECIPIENTS)],
)
def test_only_a_file_for_a_mailing_can_be_used(simulation: Simulation, text: str, fault: Fault | None) -> None:
    """Expects an ordinary import to be refused, and an empty file to match nobody."""
    options = ImportOptions() if fault else FOR_MAILING
    started = simulation.services.imports.start(text, "tester", options)
    simulation.run_for(5)
    with pytest.raises(Invalid) as refused:
        simulation.create_mailing(segment=Segment(recipients=started.import_id))
    expected = ("clients.recipients", fault) if fault else ("clients", Fault.NOBODY_TO_SEND_TO)
    assert faults(refused) == [expected]


def test_a_file_must_be_read_to_its_end_first(simulation: Simulation) -> None:
    started = simulation.services.imports.start(FILE, "tester", FOR_MAILING)
    with pytest.raises(Invalid) as refused:
        simulation.create_mailing(segment=Segment(recipients=started.import_id))
    assert faults(refused) == [("clients.recipients", Fault.RECIPIENTS_NOT_READY)]


def test_a_file_can_be_used_for_a_week_and_is_kept_for_ninety_days(simulation: Simulation) -> None:
    file = uploaded(simulation, FILE)
    with pytest.raises(Invalid) as refused:
        simulation.create_mailing(segment=file, starts_in=3600, lasts=90 * 86_400)
    assert faults(refused) == [("end_time", Fault.RECIPIENTS_FORGOTTEN)]
    other = uploaded(simulation, FILE)
    kept = simulation.create_mailing(segment=file, starts_in=30 * 86_400, lasts=3600)
    simulation.clock.move_to(simulation.clock.now() + timedelta(days=8))
    with pytest.raises(Invalid) as refused:
        simulation.create_mailing(segment=other)
    assert faults(refused) == [("clients.recipients", Fault.NO_SUCH_RECIPIENTS)]
    simulation.services.mailings.change(kept.mailing_id, replace(MailingFields.of(kept), text="Bye"))


def test_the_preview_counts_the_file_and_shows_texts_of_its_people(simulation: Simulation) -> None:
    """Expects opted-out people to be counted separately, and real texts."""
    client, *_ = simulation.add_clients(1)
    simulation.opt_out(client)
    file = uploaded(simulation, FILE + f"{client.phone_number},Eve,1\n+447700900003,,5\n")
    now = simulation.clock.now()
    fields = MailingFields("{{first_name}}", file, now, now + timedelta(hours=1))
    preview = simulation.services.previews.draft(fields)
    assert (preview.matching.total(), preview.reached.total()) == (4, 3)
    assert preview.left_out == {Reason.OPTED_OUT: 1}
    assert preview.counting is not None
    assert preview.counting.is_over
    assert preview.sample is not None
    assert {text.text for text in preview.sample.texts} == {"Anna", "Bob", ""}
    assert preview.sample.missing == {"first_name": 1}
    assert simulation.services.previews.text_for_number(fields, "+447700900999") in ("Anna", "Bob")


def test_the_file_is_deleted_with_its_mailing(simulation: Simulation) -> None:
    file = uploaded(simulation, FILE)
    mailing = simulation.create_mailing(segment=file, starts_in=3600)
    simulation.services.mailing_actions.delete(mailing.mailing_id)
    simulation.run_for(60)
    assert simulation.services.dispatcher._audiences.count(file, Headcount(), simulation.clock.now()).looked_at == 0
    with pytest.raises(Invalid) as refused:
        simulation.create_mailing(segment=file)
    assert faults(refused) == [("clients.recipients", Fault.RECIPIENTS_USED)]
