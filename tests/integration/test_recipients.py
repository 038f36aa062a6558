"""Mailings to a file of numbers of their own: each number gets one message, and the directory stays as it is."""

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
from tests.support.world import World, new_world

REFUSED = Answer(Outcome.REFUSED, Cause.http(400), 400)
FOR_MAILING = ImportOptions(for_mailing=True)
FILE = "phone_number,First name,Code\n+447700900001,Anna,007\n+447700900002,Bob,12\n"


@pytest.fixture
def world() -> Iterator[World]:
    with new_world(workers_of={"tick": 1, "dispatcher": 3, "sender": 2}) as world:
        yield world


def uploaded(world: World, text: str) -> Segment:
    """A file of recipients that is read to its end, as a mailing names it."""
    started = world.services.imports.start(text, "tester", FOR_MAILING)
    world.run_for(5)
    assert world.services.imports.file(started.import_id).finished
    return Segment(recipients=started.import_id)


def numbers(count: int) -> str:
    return "".join(f"+7916{place:07d}\n" for place in range(count))


def texts(world: World) -> dict[str, str]:
    """What each number was sent, which was once."""
    assert len(world.gateway.log) == len({call.phone_number for call in world.gateway.log})
    return {call.phone_number: call.text for call in world.gateway.log}


def faults(refused: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, Fault]]:
    return [(one.field, one.fault) for one in refused.value.errors]


def test_each_number_of_the_file_gets_its_own_text(world: World) -> None:
    """Expects columns of any name to be values, and nobody to be added to the directory."""
    file = uploaded(world, FILE)
    mailing = world.create_mailing(segment=file, text="{{first_name}}: {{code}}")
    world.run_until_finished(mailing)
    assert texts(world) == {"+447700900001": "Anna: 007", "+447700900002": "Bob: 12"}
    assert world.everybody() == []
    assert world.counts(mailing) == {"total": 2, "sent": 2}


def test_what_the_file_does_not_say_is_taken_from_the_client(world: World) -> None:
    """Expects the file's values before theirs, and their message in their history."""
    [client] = world.add_clients(1, language="ru", attributes=Attributes.of({"name": "Olga", "code": "old"}))
    file = uploaded(world, f"phone,code\n{client.phone_number},new\n")
    mailing = world.create_mailing(segment=file, text="-", texts=(("ru", "{{name}} {{code}} {{phone_number}}"),))
    world.run_until_finished(mailing)
    assert texts(world) == {client.phone_number: f"Olga new {client.phone_number}"}
    assert world.everybody() == [client]
    history = world.services.messages.history(client.client_id, None, "", 10)
    assert [found.mailing_id for found, _ in history.entries] == [mailing.mailing_id]


def test_who_has_opted_out_gets_nothing(world: World) -> None:
    """Expects an opt-out in the directory to count, of whoever has the number now, and one in the file."""
    out, moved = world.add_clients(2)
    world.opt_out(out)
    there = replace(moved, phone_number="+447700900002", renumbered=True, opted_out=True, updated_at=world.clock.now())
    world.services.clients._clients.change(moved, there)
    file = uploaded(
        world,
        f"phone,opted_out\n{out.phone_number},\n{moved.phone_number},no\n+447700900001,yes\n+447700900002,\n"
        "+447700900003,\n+447700900003,yes\n",
    )
    mailing = world.create_mailing(segment=file)
    world.run_until_finished(mailing)
    assert set(texts(world)) == {moved.phone_number}
    assert world.counts(mailing) == {"total": 5, "sent": 1, "skipped": 4}
    assert {row.cause.reason for row in world.rows(mailing) if row.cause} == {Reason.OPTED_OUT}


def test_an_opt_out_after_the_expansion_counts(world: World) -> None:
    """Expects the sender to look again: at a client who was there, and at one who was added meanwhile."""
    client, *_ = world.add_clients(1)
    file = uploaded(world, f"phone\n{client.phone_number}\n+447700900001\n")
    window = LocalWindow.parse("12:00", "20:00", WindowPolicy.DEFER)
    mailing = world.create_mailing(segment=file, lasts=6 * 3600, local_window=window)
    world.run_for(60)
    assert {row.status for row in world.rows(mailing)} == {"waiting"}
    world.opt_out(client)
    world.services.clients._clients.create(replace(client, client_id="", phone_number="+447700900001", opted_out=True))
    world.run_until_finished(mailing, 5 * 3600)
    assert world.gateway.log == []
    assert world.counts(mailing) == {"total": 2, "skipped": 2}


def test_the_time_zone_is_that_of_the_file_else_of_the_client(world: World) -> None:
    [client] = world.add_clients(1, timezone="Asia/Tokyo")
    file = uploaded(world, f"phone,timezone\n{client.phone_number},\n+447700900001,Europe/Moscow\n+447700900002,\n")
    mailing = world.create_mailing(segment=file)
    world.run_until_finished(mailing)
    zones = {row.phone_number: row.timezone for row in world.rows(mailing)}
    assert zones == {client.phone_number: "Asia/Tokyo", "+447700900001": "Europe/Moscow", "+447700900002": "UTC"}


def test_many_numbers_each_get_one_message(world: World) -> None:
    """Expects more than a page of each shard, with a number twice in one part and once more in the next."""
    text = "phone_number\n" + numbers(3000)
    first = world.services.imports.start(text + "+79160000000\n", "tester", FOR_MAILING, FilePart(parts=2))
    world.services.imports.start(
        "phone_number\n+79160000001\n+79169999999\n", "tester", None, FilePart(first.import_id, 3001, 2)
    )
    world.run_for(20)
    file = world.services.imports.file(first.import_id)
    assert (file.finished, file.done, file.rejected) == (True, 3001, 2)
    mailing = world.create_mailing(segment=Segment(recipients=first.import_id))
    world.run_until_finished(mailing)
    assert len(texts(world)) == 3001
    assert world.counts(mailing) == {"total": 3001, "sent": 3001}


def test_an_opt_out_in_another_part_counts(world: World) -> None:
    """Expects it in whatever order the parts are written, and of a row that is rejected."""
    header = "phone_number,opted_out,timezone\n"
    options, imports = FOR_MAILING, world.services.imports
    first = imports.start(f"{header}+447700900001,yes,Mars\n+447700900002,,\n", "tester", options, FilePart(parts=2))
    imports.start(f"{header}+447700900001,,\n+447700900002,yes,\n", "tester", None, FilePart(first.import_id, 2, 2))
    world.run_for(20)
    mailing = world.create_mailing(segment=Segment(recipients=first.import_id))
    world.run_until_finished(mailing)
    assert world.counts(mailing) == {"total": 2, "skipped": 2}


def test_a_file_is_of_one_mailing(world: World) -> None:
    """Expects another one, and a changed one, to be refused; but one to those whom the first did not reach."""
    file = uploaded(world, FILE)
    mailing = world.create_mailing(segment=file, starts_in=3600, lasts=60)
    other = world.create_mailing(starts_in=7200)
    with pytest.raises(Invalid) as refused:
        world.create_mailing(segment=file)
    assert faults(refused) == [("clients.recipients", Fault.RECIPIENTS_USED)]
    with pytest.raises(Invalid) as refused:
        world.services.mailings.change(other.mailing_id, replace(MailingFields.of(other), segment=file))
    assert faults(refused) == [("clients.recipients", Fault.RECIPIENTS_USED)]
    world.services.mailings.change(mailing.mailing_id, replace(MailingFields.of(mailing), text="Bye {{code}}"))


def test_two_mailings_at_once_do_not_get_the_same_file(world: World) -> None:
    """Expects the write itself to refuse the second one."""
    file = uploaded(world, FILE)
    now = world.clock.now()
    world.services.recipients.get(file.recipients)
    fields = MailingFields("Hello", file, now, now + timedelta(hours=1))
    first, second = (fields.ordered(f"0{place}" * 13, "", now, "hold") for place in "12")  # type: ignore[arg-type]
    repository = world.services.mailings._mailings
    repository.create(first)
    repository.create(first)  # whose answer was lost
    with pytest.raises(Invalid) as refused:
        repository.create(second)
    assert faults(refused) == [("clients.recipients", Fault.RECIPIENTS_USED)]


def test_those_who_got_nothing_get_another_one_with_the_values_of_the_file(world: World) -> None:
    client, *_ = world.add_clients(1)
    world.opt_out(client)
    file = uploaded(world, FILE + f"{client.phone_number},Eve,1\n")
    mailing = world.create_mailing(segment=file, text="{{code}}")
    world.gateway.everybody = REFUSED
    world.run_until_finished(mailing)
    failed = {row.phone_number for row in world.rows(mailing) if row.status == "failed"}
    world.gateway.everybody = None
    world.gateway.log.clear()
    again = world.create_mailing(segment=missed_by(mailing), text="again {{code}}")
    world.run_until_finished(again)
    assert len(failed) == 2
    assert texts(world) == {"+447700900001": "again 007", "+447700900002": "again 12"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [("phone_number\n", None), ("phone_number\n+447700900001\n", Fault.NO_SUCH_RECIPIENTS)],
)
def test_only_a_file_for_a_mailing_can_be_used(world: World, text: str, fault: Fault | None) -> None:
    """Expects an ordinary import to be none, and an empty file to match nobody."""
    options = ImportOptions() if fault else FOR_MAILING
    started = world.services.imports.start(text, "tester", options)
    world.run_for(5)
    with pytest.raises(Invalid) as refused:
        world.create_mailing(segment=Segment(recipients=started.import_id))
    expected = ("clients.recipients", fault) if fault else ("clients", Fault.NOBODY_TO_SEND_TO)
    assert faults(refused) == [expected]


def test_a_file_must_be_read_to_its_end_first(world: World) -> None:
    started = world.services.imports.start(FILE, "tester", FOR_MAILING)
    with pytest.raises(Invalid) as refused:
        world.create_mailing(segment=Segment(recipients=started.import_id))
    assert faults(refused) == [("clients.recipients", Fault.RECIPIENTS_NOT_READY)]


def test_a_file_is_used_within_a_week_and_kept_for_ninety_days(world: World) -> None:
    file = uploaded(world, FILE)
    with pytest.raises(Invalid) as refused:
        world.create_mailing(segment=file, starts_in=3600, lasts=90 * 86_400)
    assert faults(refused) == [("end_time", Fault.RECIPIENTS_FORGOTTEN)]
    other = uploaded(world, FILE)
    kept = world.create_mailing(segment=file, starts_in=30 * 86_400, lasts=3600)
    world.clock.move_to(world.clock.now() + timedelta(days=8))
    with pytest.raises(Invalid) as refused:
        world.create_mailing(segment=other)
    assert faults(refused) == [("clients.recipients", Fault.NO_SUCH_RECIPIENTS)]
    world.services.mailings.change(kept.mailing_id, replace(MailingFields.of(kept), text="Bye"))


def test_the_preview_counts_the_file_and_shows_texts_of_its_people(world: World) -> None:
    """Expects opted-out ones to be told apart, and real texts."""
    client, *_ = world.add_clients(1)
    world.opt_out(client)
    file = uploaded(world, FILE + f"{client.phone_number},Eve,1\n+447700900003,,5\n")
    now = world.clock.now()
    fields = MailingFields("{{first_name}}", file, now, now + timedelta(hours=1))
    preview = world.services.previews.draft(fields)
    assert (preview.matching.total(), preview.reached.total()) == (4, 3)
    assert preview.left_out == {Reason.OPTED_OUT: 1}
    assert preview.counting is not None
    assert preview.counting.is_over
    assert preview.sample is not None
    assert {text.text for text in preview.sample.texts} == {"Anna", "Bob", ""}
    assert preview.sample.missing == {"first_name": 1}
    assert world.services.previews.text_for_number(fields, "+447700900999") in ("Anna", "Bob")


def test_the_file_goes_with_its_mailing(world: World) -> None:
    file = uploaded(world, FILE)
    mailing = world.create_mailing(segment=file, starts_in=3600)
    world.services.mailings.delete(mailing.mailing_id)
    world.run_for(60)
    assert world.services.dispatcher._audiences.count(file, Headcount(), world.clock.now()).looked_at == 0
    with pytest.raises(Invalid) as refused:
        world.create_mailing(segment=file)
    assert faults(refused) == [("clients.recipients", Fault.RECIPIENTS_USED)]
