"""Importing clients who opted out: a file opts nobody in unless that is asked for, and an opt-out counts in any row."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.campaign import Campaign

CSV = {"Content-Type": "text/csv"}
CASES = Path(__file__).parents[2] / "cases"
NUMBER = "+79161234567"
ALLOWED = {"allow_opt_in": "true"}


def imported(campaign: Campaign, *parts: str, **query: str) -> dict:
    """Import a file, in parts if there are several, and wait until all of it is written."""
    first, offset = "", 0
    for text in parts:
        place = {"part_of": first, "row_offset": str(offset), "parts": str(len(parts))}
        reply = campaign.api.post("/api/clients/imports/", raw=text.encode(), headers=CSV, query={**query, **place})
        assert reply.status == 201, reply.text
        first = first or reply.json["id"]
        offset += text.strip().count("\n")
    campaign.simulation.run_for(200)
    found = campaign.api.get(f"/api/clients/imports/{first}").json
    assert found["status"] == "finished"
    return found


def add(campaign: Campaign, number: str = NUMBER, **fields: object) -> dict:
    return dict(campaign.api.post("/api/clients", {"phone_number": number, **fields}).json)


def wait(campaign: Campaign) -> None:
    """Let time pass, so that what exists already was not created at the very moment of the import."""
    campaign.simulation.run_for(1)


def client(campaign: Campaign, number: str = NUMBER) -> dict:
    return dict(campaign.api.post("/api/clients/lookup", {"phone_number": number}).json["client"])


def test_a_list_without_the_column_opts_nobody_in(campaign: Campaign) -> None:
    """Expects clients who opted out to stay opted out, in either mode."""
    text = (CASES / "opt-out-lost.csv").read_text("utf-8-sig")
    number = text.split()[1]
    before = add(campaign, number, tag="vip", timezone="Europe/Moscow", opted_out=True)
    wait(campaign)
    assert imported(campaign, text)["unchanged"] == 1
    assert client(campaign, number) == before
    for query in ({"mode": "replace"}, {"mode": "replace", **ALLOWED}):
        imported(campaign, text, **query)
        after = client(campaign, number)
        assert (after["opted_out"], after["tag"], after["timezone"]) == (True, "", "UTC")


@pytest.mark.parametrize("mode", ["update", "replace"])
@pytest.mark.parametrize(
    ("cell", "allowed", "lifted"), [("false", True, True), ("false", False, False), ("", True, False)]
)
def test_only_an_allowed_false_lifts_an_opt_out(
    campaign: Campaign, mode: str, cell: str, allowed: bool, lifted: bool
) -> None:
    """Expects it to be counted."""
    add(campaign, opted_out=True)
    query = {"mode": mode, "allow_opt_in": str(allowed).lower()}
    found = imported(campaign, f"phone_number,opted_out\n{NUMBER},{cell}\n", **query)
    assert client(campaign)["opted_out"] is not lifted
    kept = cell == "false" and not lifted
    assert (found["opted_in_again"], found["opt_outs_kept"], found["opted_out"]) == (lifted, kept, 0)


def test_replacing_sets_every_field(campaign: Campaign) -> None:
    """Expects fields without a column to be set, too."""
    add(campaign, tag="vip", timezone="Europe/Moscow", operator="123")
    wait(campaign)
    assert imported(campaign, f"phone_number\n{NUMBER}\n", mode="replace")["changed"] == 1
    after = client(campaign)
    assert (after["tag"], after["timezone"], after["operator"]) == ("", "UTC", "916")


def test_the_summary_counts_opt_outs_and_opt_ins(campaign: Campaign) -> None:
    """Each of them separately."""
    numbers = [f"+7916123456{n}" for n in range(6)]
    for number, opted_out in zip(numbers[:4], (False, True, True, False), strict=True):
        add(campaign, number, opted_out=opted_out)
    wait(campaign)
    cells = ("true", "false", "true", "", "true", "false")
    rows = "".join(f"{number},{cell}\n" for number, cell in zip(numbers, cells, strict=True))
    found = imported(campaign, "phone_number,opted_out\n" + rows, **ALLOWED)
    names = ("created", "changed", "unchanged", "opted_out", "opted_in_again")
    assert [found[name] for name in names] == [2, 2, 2, 2, 1]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("rest", ["Mars/Base", "UTC,too,many"])
def test_an_opt_out_in_a_rejected_row_counts(campaign: Campaign, known: bool, rest: str) -> None:
    """Nobody who opted out gets a message because of a mistake in another cell."""
    if known:
        add(campaign, tag="vip")
    found = imported(campaign, f"phone_number,opted_out,timezone\n{NUMBER},true,{rest}\n")
    assert (found["rejected"], found["accepted"], found["done"], found["opted_out"]) == (1, 0, 0, 1)
    assert (client(campaign)["opted_out"], client(campaign)["tag"]) == (True, "vip" if known else "")


@pytest.mark.parametrize("rows", [("true", "false"), ("false", "true"), ("", "true"), ("true", "")])
@pytest.mark.parametrize("before", [None, False, True])
@pytest.mark.parametrize("query", [{}, ALLOWED])
def test_an_opt_out_wins_across_the_parts_of_a_file(
    campaign: Campaign, rows: tuple[str, str], before: bool | None, query: dict[str, str]
) -> None:
    """Whichever part has it; the second row is rejected and names the first by its number in the whole file."""
    if before is not None:
        add(campaign, opted_out=before)
    header = "phone_number,opted_out\n"
    parts = (f"{header}+79160000001,\n{NUMBER},{rows[0]}\n", f"{header}+79160000002,\n8 916 123-45-67,{rows[1]}\n")
    found = imported(campaign, *parts, **query)
    assert client(campaign)["opted_out"] is True
    assert (found["rows"], found["accepted"], found["rejected"]) == (4, 3, 1)
    (error,) = campaign.api.get(f"/api/clients/imports/{found['id']}/rejected").json["rows"]
    assert error == {"row": 5, "field": "phone_number", "value": NUMBER, "message": "is the same as in row 3"}


def test_an_opt_out_after_the_upload_stays(campaign: Campaign) -> None:
    """What a person says while an import waits is newer than the file."""
    made = add(campaign, opted_out=True)
    text = f"phone_number,opted_out\n{NUMBER},false\n"
    path = campaign.api.post("/api/clients/imports/", raw=text.encode(), headers=CSV, query=ALLOWED).headers["location"]
    campaign.simulation.clock.move_to(campaign.simulation.clock.now() + timedelta(seconds=0.01))
    campaign.api.request("PATCH", f"/api/clients/{made['id']}", {"opted_out": False})
    campaign.api.request("PATCH", f"/api/clients/{made['id']}", {"opted_out": True})
    campaign.simulation.run_for(30)
    assert client(campaign)["opted_out"] is True
    assert campaign.api.get(path).json["opt_outs_kept"] == 1


@pytest.mark.parametrize("stop_at", [1, 2, 3, 4, 5])
def test_opt_outs_are_counted_once_if_a_dispatcher_dies(campaign: Campaign, stop_at: int) -> None:
    """The dispatcher that continues finds them opted out already."""
    numbers = [f"+7916{n:07d}" for n in range(150)]
    for number in numbers[:4]:
        add(campaign, number, opted_out=number == numbers[0])
    wait(campaign)
    simulation = campaign.simulation
    simulation.crash_dispatcher(stop_at)
    rows = "".join(f"{number},true,new\n" for number in numbers)
    text = f"phone_number,opted_out,tag\n{rows}"
    location = campaign.api.post("/api/clients/imports/", raw=text.encode(), headers=CSV).headers["location"]
    simulation.run_for(1500)
    found = campaign.api.get(location).json
    assert (found["status"], found["created"], found["changed"]) == ("finished", 146, 4)
    assert found["opted_out"] == 149
