"""/api/queues/, /api/dead-letters/ and /api/gateway/: what the person on call needs."""

from __future__ import annotations

import json

from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.domain.users import Role
from chalicelib.gateways.base import Answer
from tests.support.api import Api
from tests.support.campaign import Campaign

BROKEN = Answer(Outcome.FAILED, Cause.http(500), 500)
OK = Answer(Outcome.ACCEPTED)


def _dead_letters(campaign: Campaign) -> list[dict]:
    reply = campaign.api.get("/api/dead-letters/")
    assert reply.status == 200, reply.text
    return list(reply.json["rows"])


def test_the_depths_of_all_queues_are_returned(api: Api) -> None:
    """All six, with delayed messages counted separately."""
    api.services.queues["dispatch"].send(["{}"], delay=60)
    api.services.queues["send-dead"].send(["a", "b"])
    rows = {row.pop("name"): row for row in api.get("/api/queues/").json["rows"]}
    nothing = {"visible": 0, "delayed": 0, "in_flight": 0}
    assert rows == {
        "dispatch": nothing | {"delayed": 1},
        "dispatch-dead": nothing,
        "send": nothing,
        "send-dead": nothing | {"visible": 2},
        "receipts": nothing,
        "receipts-dead": nothing,
    }


def test_a_dead_letter_has_its_message_and_reason(campaign: Campaign) -> None:
    """Expects a second look to find it, too."""
    mailing_id = campaign.give_up(2)
    for _ in range(2):
        letters = _dead_letters(campaign)
        assert {letter["mailing"] for letter in letters} == {mailing_id}
        assert {letter["reason"] for letter in letters} == {"all attempts failed (3), last: HTTP 500"}
        rows = campaign.api.get("/api/messages/", query={"mailing": mailing_id, "status": "failed"}).json["rows"]
        assert {letter["message"] for letter in letters} == {row["id"] for row in rows}
        assert {letter["mailing_name"] for letter in letters} == {row["mailing_name"] for row in rows} != {None}


def test_names_of_mailings_take_one_call(campaign: Campaign) -> None:
    """Expects as many reads for failed messages of one mailing as of three, and none for a deleted mailing."""
    asked: list[str] = []
    counts = []
    for number in range(3):
        mailing_id = campaign.give_up(1, name=f"Mailing {number}")
        asked.clear()
        campaign.simulation.aws.before = lambda call: asked.append(call.operation)
        names = {letter["mailing_name"] for letter in _dead_letters(campaign)}
        campaign.simulation.aws.before = lambda call: campaign.simulation.scheduler.io_point()
        assert names == {f"Mailing {one}" for one in range(number + 1)}
        counts.append(len([one for one in asked if one.startswith("DynamoDB")]))
    assert len(set(counts)) == 1
    campaign.api.delete(f"/api/mailing/{mailing_id}")
    assert {letter["mailing_name"] for letter in _dead_letters(campaign)} == {"Mailing 0", "Mailing 1", None}


def test_all_dead_letters_are_put_back(campaign: Campaign) -> None:
    """Expects the finished mailing to go on with them alone, each with new attempts, and to finish again."""
    mailing_id = campaign.give_up(3)
    calls = campaign.simulation.gateway.calls()
    reply = campaign.api.post("/api/dead-letters/redrive", {})
    assert reply.json == {"put_back": 3, "settled": 0, "refused": {}}
    campaign.finish(mailing_id)
    mailing = campaign.api.get(f"/api/mailing/{mailing_id}/").json
    assert {name: count for name, count in mailing["counts"].items() if count} == {"total": 8, "sent": 8}
    again = campaign.simulation.gateway.calls() - calls
    assert sorted(again.values()) == [1, 1, 1]
    assert not _dead_letters(campaign)


def test_one_dead_letter_is_put_back_and_the_others_stay(campaign: Campaign) -> None:
    """Expects them to be named by id, and an unknown id to be reported."""
    mailing_id = campaign.give_up(3)
    chosen, *others = _dead_letters(campaign)
    reply = campaign.api.post("/api/dead-letters/redrive", {"ids": [chosen["id"], "no-such-letter"]})
    gone = "this failed message is no longer there, or somebody else is working on it"
    assert reply.json == {"put_back": 1, "settled": 0, "refused": {"no-such-letter": gone}}
    campaign.finish(mailing_id)
    assert {letter["id"] for letter in _dead_letters(campaign)} == {letter["id"] for letter in others}
    assert campaign.api.get(f"/api/messages/{chosen['message']}/").json["status"] == "sent"
    assert campaign.api.get(f"/api/mailing/{mailing_id}/").json["counts"]["failed"] == 2


def test_a_letter_whose_message_was_sent_meanwhile_is_removed(campaign: Campaign) -> None:
    """`retry` put its message back before; expects no second call."""
    mailing_id = campaign.give_up(3)
    campaign.api.post(f"/api/mailing/{mailing_id}/retry", {})
    campaign.finish(mailing_id)
    assert not _dead_letters(campaign)
    calls = len(campaign.simulation.gateway.log)
    assert campaign.api.post("/api/dead-letters/redrive", {}).json == {"put_back": 0, "settled": 0, "refused": {}}
    campaign.simulation.run_for(600)
    assert campaign.api.get(f"/api/mailing/{mailing_id}/").json["status"] == "finished"
    assert len(campaign.simulation.gateway.log) == calls


def test_nothing_is_put_back_after_the_window_has_closed(campaign: Campaign) -> None:
    """Expects the dead letters to stay, and the answer to say why."""
    campaign.give_up(3)
    campaign.simulation.run_quietly_for(25 * 3600)
    answer = campaign.api.post("/api/dead-letters/redrive", {}).json
    assert answer["put_back"] == 0
    assert set(answer["refused"].values()) == {"the end of this mailing has passed; set a later end first"}
    assert len(_dead_letters(campaign)) == 3


def test_clients_who_opted_out_meanwhile_are_skipped(campaign: Campaign) -> None:
    """A redrive checks the same as delivery."""
    mailing_id = campaign.give_up(1)
    (letter,) = _dead_letters(campaign)
    campaign.api.patch(f"/api/clients/{letter['client']}/", {"opted_out": True})
    campaign.api.post("/api/dead-letters/redrive", {})
    campaign.finish(mailing_id)
    assert campaign.api.get(f"/api/messages/{letter['message']}/").json["status"] == "skipped"


def test_a_letter_that_is_not_ours_can_only_be_discarded(campaign: Campaign) -> None:
    """Expects it to be shown as it is."""
    campaign.simulation.services.queues["send-dead"].send(["poison", json.dumps({"mailing_id": 1})])
    letters = _dead_letters(campaign)
    assert {letter["body"] for letter in letters} == {"poison", '{"mailing_id": 1}'}
    assert all(letter["message"] is None for letter in letters)
    refused = campaign.api.post("/api/dead-letters/redrive", {}).json["refused"]
    assert set(refused) == {letter["id"] for letter in letters}
    ids = [letter["id"] for letter in letters]
    assert campaign.api.post("/api/dead-letters/discard", {"ids": ids[:1]}).json == {"discarded": 1, "missing": 0}
    assert [letter["id"] for letter in _dead_letters(campaign)] == ids[1:]
    assert campaign.api.post("/api/dead-letters/discard", {"ids": ids}).json == {"discarded": 1, "missing": 1}


def test_the_gateway_can_be_held_and_released(campaign: Campaign) -> None:
    """Expects nothing to be sent meanwhile, no attempt to be used up, and the user to be named."""
    campaign.add_clients(5)
    held = campaign.api.post("/api/gateway/hold", {}).json
    assert (held["circuit"], held["changed_by"]) == ("held", "admin")
    mailing_id = campaign.order()
    campaign.simulation.run_for(300)
    assert not campaign.simulation.gateway.log
    assert campaign.api.post("/api/gateway/close", {}).json["circuit"] == "closed"
    campaign.finish(mailing_id)
    assert len(campaign.simulation.gateway.log) == 5
    assert campaign.api.post("/api/gateway/close", {}).status == 200


def test_the_rate_is_set(api: Api) -> None:
    """Expects only a number of messages a second, or null; without the field nothing changes."""
    assert api.get("/api/gateway/").json["rate"] is None
    assert api.patch("/api/gateway/", {"rate": 30}).json["rate"] == 30
    assert api.patch("/api/gateway/", {"rate": None}).json["rate"] is None
    for wrong in (0, -1, 10_001, "5", 1.5, True):
        assert api.patch("/api/gateway/", {"rate": wrong}).errors.keys() == {"rate"}
    api.patch("/api/gateway/", {"rate": 30})
    assert api.patch("/api/gateway/", {}).json["rate"] == 30


def test_changes_of_the_gateway_are_listed(api: Api) -> None:
    """Expects the newest first, with old and new value and reason; what changes nothing is not listed."""
    api.patch("/api/gateway", {"rate": 30})
    api.patch("/api/gateway", {"rate": 30})
    api.sign_in_as(Role.OPERATOR)
    api.pass_time(minutes=1)
    api.post("/api/gateway/hold", {"reason": " a new gateway "})
    api.post("/api/gateway/hold", {"reason": "another"})
    assert api.get("/api/gateway").json["reason"] == "a new gateway"
    api.post("/api/gateway/close", {})
    page = api.get("/api/gateway/changes").json
    assert [(row["by"], row["setting"], row["old"], row["new"], row["reason"]) for row in page["rows"]] == [
        ("operator", "circuit", "held", "closed", ""),
        ("operator", "circuit", "closed", "held", "a new gateway"),
        ("admin", "rate", None, 30, ""),
    ]
    assert page["rows"][0]["at"] == "2026-03-02T09:01:00.000Z"


def test_the_list_of_changes_has_pages(api: Api) -> None:
    """Expects each change once."""
    for rate in range(1, 6):
        api.patch("/api/gateway", {"rate": rate})
    first = api.get("/api/gateway/changes", query={"limit": 3}).json
    second = api.get("/api/gateway/changes", query={"limit": 3, "cursor": first["next"]}).json
    assert [row["new"] for row in first["rows"] + second["rows"]] == [5, 4, 3, 2, 1]
    assert second["next"] is None


def test_the_circuits_own_changes_are_listed(campaign: Campaign) -> None:
    """Expects no user, and the gateway's last answer."""
    campaign.simulation.gateway.script = lambda gateway_id, nth: OK if nth > 4 else BROKEN
    campaign.add_clients(10)
    campaign.finish(campaign.order())
    rows = campaign.api.get("/api/gateway/changes").json["rows"]
    assert [(row["by"], row["old"], row["new"]) for row in rows[-2:]] == [
        ("", "open", "closed"),
        ("", "closed", "open"),
    ]
    assert (rows[-1]["reason"], rows[-1]["reason_code"], rows[-1]["reason_detail"]) == ("HTTP 500", "http", "500")


def test_an_invalid_reason_is_refused(api: Api) -> None:
    """Expects the field to be named, and nothing to change."""
    for wrong in ("x" * 201, "a\nb", 1):
        assert api.post("/api/gateway/hold", {"reason": wrong}).errors.keys() == {"reason"}
    assert api.get("/api/gateway").json["circuit"] == "closed"
