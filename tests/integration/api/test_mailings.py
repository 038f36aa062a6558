"""/api/mailing/: ordering, reading, changing, pausing and cancelling mailings."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.factories import ClientBodyFactory, MailingBodyFactory
from tests.support.api import Api
from tests.support.campaign import Campaign

LATER = timedelta(hours=2)


def _ordered(api: Api, **fields: object) -> dict:
    reply = api.post("/api/mailing/", MailingBodyFactory(**{"starts_in": LATER, **fields}))
    assert reply.status == 201, reply.text
    return reply.json


def test_the_request_of_the_first_version_orders_a_mailing(api: Api) -> None:
    """Expects 201, the mailing as ordered, its address, and a message to the dispatcher at once."""
    client = {"phone_number": "+79161234567", "operator": 916, "tag": "vip", "timezone": "Europe/Moscow"}
    assert api.post("/api/clients/", client).status == 201
    body = {
        "text": "Hello",
        "clients": {"tag": "vip", "operator": 916},
        "start_time": api.ahead(),
        "end_time": api.ahead(hours=1),
    }
    reply = api.post("/api/mailing/", body)
    assert reply.status == 201
    wanted = {
        "text": "Hello",
        "clients": {"tag": "vip", "operator": "916", "filter": None, "recipients": None},
        "start_time": "2026-03-02T09:00:00.000Z",
        "end_time": "2026-03-02T10:00:00.000Z",
        "local_window": None,
        "rate_limit": None,
        "on_unknown": "retry",
        "status": "scheduled",
        "created_by": "admin",
    }
    assert wanted.items() <= reply.json.items()
    assert set(reply.json["counts"].values()) == {0}
    assert api.get(reply.headers["location"]).json == reply.json
    assert [unit["kind"] for unit in api.queued_units()] == ["launch"]


def test_every_field_is_returned_as_it_was_given(api: Api) -> None:
    """Expects lists to stay lists, times in UTC, and the options unchanged."""
    fields = {
        "clients": {"tag": ["vip", "new"], "operator": ["916", 903]},
        "start_time": "2026-03-02T15:00:00+03:00",
        "end_time": "2026-03-02T16:00:00.500+03:00",
        "local_window": {"from": "09:00", "until": "21:00", "policy": "skip"},
        "rate_limit": 50,
        "on_unknown": "hold",
        "late": "skip",
    }
    mailing = _ordered(api, **fields)
    expected = fields | {
        "clients": {"tag": ["vip", "new"], "operator": ["916", "903"], "filter": None, "recipients": None},
        "start_time": "2026-03-02T12:00:00.000Z",
        "end_time": "2026-03-02T13:00:00.500Z",
    }
    assert expected.items() <= mailing.items()


def test_a_mailing_for_later_is_left_to_the_tick(api: Api) -> None:
    """Expects nothing on the dispatch queue for a mailing that starts in two hours."""
    _ordered(api)
    assert api.queued_units() == []


@pytest.mark.parametrize("clients", [{}, {"tag": None, "operator": None}])
def test_a_segment_without_values_means_everybody(api: Api, clients: dict) -> None:
    """Expects null for both in the answer."""
    assert _ordered(api, clients=clients)["clients"] == {
        "tag": None,
        "operator": None,
        "filter": None,
        "recipients": None,
    }


def test_put_sets_every_field(api: Api) -> None:
    """Expects fields that the body leaves out to get their defaults."""
    mailing = _ordered(api, rate_limit=5, on_unknown="hold")
    body = MailingBodyFactory(starts_in=LATER, text="Changed")
    changed = api.put(f"/api/mailing/{mailing['id']}", body)
    assert changed.status == 200
    wanted = {"text": "Changed", "rate_limit": None, "on_unknown": "retry", "created_at": mailing["created_at"]}
    assert wanted.items() <= changed.json.items()


def test_patch_changes_only_the_fields_it_has(api: Api) -> None:
    """Expects all other fields to stay."""
    mailing = _ordered(api, rate_limit=5, local_window={"from": "09:00", "until": "21:00"})
    api.pass_time(minutes=1)
    reply = api.patch(f"/api/mailing/{mailing['id']}", {"text": "Changed", "local_window": None})
    assert reply.status == 200
    different = {"name": "Changed", "text": "Changed", "local_window": None, "updated_at": "2026-03-02T09:01:00.000Z"}
    assert reply.json == mailing | different


def test_a_mailing_moved_to_now_is_dispatched_at_once(api: Api) -> None:
    """Expects the dispatcher to be told of its new start."""
    api.post("/api/clients", ClientBodyFactory())
    mailing = _ordered(api)
    assert api.patch(f"/api/mailing/{mailing['id']}", {"start_time": api.ahead()}).status == 200
    assert [unit["kind"] for unit in api.queued_units()] == ["launch"]


def test_a_moved_window_is_checked_as_a_whole(api: Api) -> None:
    """Expects 422 for an end before the mailing's present start."""
    mailing = _ordered(api)
    reply = api.patch(f"/api/mailing/{mailing['id']}", {"end_time": api.ahead(hours=1)})
    assert reply.status == 422
    assert reply.errors == {"end_time": "must be after start_time"}


def test_a_mailing_must_end_before_its_messages_are_deleted(campaign: Campaign) -> None:
    """Expects 422 for an end so late that open messages would be deleted, and any end before that to be accepted."""
    campaign.add_clients(30)
    mailing_id = campaign.order(rate_limit=1)
    campaign.simulation.run_for(5)
    change = f"/api/mailing/{mailing_id}"
    reply = campaign.api.patch(change, {"end_time": campaign.api.ahead(hours=180 * 24 + 1)})
    assert reply.status == 422
    assert reply.errors == {
        "end_time": "must be at most 180 days after the mailing was launched; copy the mailing instead"
    }
    assert campaign.api.patch(change, {"end_time": campaign.api.ahead(hours=180 * 24 - 1)}).status == 200


def test_a_running_mailing_refuses_changes_and_says_what_is_allowed(campaign: Campaign) -> None:
    """Expects 409 for its text, with the changeable fields in the detail, and the rate to be changeable."""
    api = campaign.api
    campaign.add_clients(30)
    mailing_id = campaign.order(rate_limit=1)
    campaign.simulation.run_for(5)
    assert api.get(f"/api/mailing/{mailing_id}").json["status"] == "running"
    for change in ({"text": "Changed"}, {"clients": {}}, {"start_time": "2026-03-02T11:00:00Z"}):
        reply = api.patch(f"/api/mailing/{mailing_id}", change)
        assert reply.status == 409
        assert "rate_limit" in reply.json["detail"]
    assert api.put(f"/api/mailing/{mailing_id}", MailingBodyFactory()).status == 409
    assert api.patch(f"/api/mailing/{mailing_id}", {"rate_limit": 100}).json["rate_limit"] == 100
    assert api.delete(f"/api/mailing/{mailing_id}").status == 409


def test_a_paused_mailing_can_be_given_more_time(campaign: Campaign) -> None:
    """Expects its end, rate and handling of unknown outcomes to be changeable, but not its text once it has begun."""
    api = campaign.api
    campaign.add_clients(30)
    mailing_id = campaign.order(rate_limit=1)
    campaign.simulation.run_for(5)
    assert api.post(f"/api/mailing/{mailing_id}/pause").json["status"] == "paused"
    change = {"end_time": "2026-03-03T09:00:00.000Z", "rate_limit": None, "on_unknown": "hold"}
    reply = api.patch(f"/api/mailing/{mailing_id}", change)
    assert change.items() <= reply.json.items()
    assert api.patch(f"/api/mailing/{mailing_id}", {"text": "Changed"}).status == 409
    assert api.post(f"/api/mailing/{mailing_id}/resume").json["status"] == "running"
    campaign.finish(mailing_id)
    assert api.get(f"/api/mailing/{mailing_id}").json["counts"]["sent"] == 30


def test_everything_of_a_mailing_paused_before_its_start_can_be_changed(api: Api) -> None:
    """Expects text and start to be changeable, and resuming to make it scheduled again."""
    mailing = _ordered(api)
    assert api.post(f"/api/mailing/{mailing['id']}/pause").json["status"] == "paused"
    assert api.patch(f"/api/mailing/{mailing['id']}", {"text": "Changed"}).json["text"] == "Changed"
    assert api.post(f"/api/mailing/{mailing['id']}/resume").json["status"] == "scheduled"


@pytest.mark.parametrize("step", ["launch", "pause", "resume", "cancel"])
def test_a_cancelled_mailing_stays_cancelled(api: Api, step: str) -> None:
    """Expects 409 that names the mailing's status."""
    mailing = _ordered(api)
    assert api.post(f"/api/mailing/{mailing['id']}/cancel").json["status"] == "cancelled"
    reply = api.post(f"/api/mailing/{mailing['id']}/{step}")
    assert reply.status == 409
    assert "cancelled" in reply.json["detail"]
    assert api.patch(f"/api/mailing/{mailing['id']}", {"text": "Changed"}).status == 409


def test_launching_starts_a_scheduled_mailing_now(campaign: Campaign) -> None:
    """Expects delivery hours before its start, and a second launch to be refused."""
    campaign.add_clients(3)
    mailing_id = campaign.order(starts_in=LATER, lasts=timedelta(hours=3))
    assert campaign.api.post(f"/api/mailing/{mailing_id}/launch").status == 200
    campaign.finish(mailing_id, limit=30)
    assert campaign.api.get(f"/api/mailing/{mailing_id}").json["counts"]["sent"] == 3
    assert campaign.api.post(f"/api/mailing/{mailing_id}/launch").status == 409


def test_a_deleted_mailing_is_gone_with_its_messages(campaign: Campaign) -> None:
    """Expects 204 once, then 404, no messages, and correct totals."""
    api = campaign.api
    mailing_id = campaign.send(3)
    assert api.delete(f"/api/mailing/{mailing_id}").status == 204
    assert api.delete(f"/api/mailing/{mailing_id}").status == 404
    assert api.get(f"/api/mailing/{mailing_id}").status == 404
    assert api.get("/api/mailing").json == {"total": 0, "rows": [], "next": None}
    campaign.simulation.run_for(60)
    assert api.get("/api/messages", query={"mailing": mailing_id}).json == {"total": 0, "rows": [], "next": None}


@pytest.mark.parametrize("mailing_id", ["1", "01KJPWD6M099CBF4EZDBRXGRED", "x" * 3000, "%0a", "..", "META"])
def test_an_unknown_mailing_is_not_found(api: Api, mailing_id: str) -> None:
    """Expects 404 for every method and step, whatever the id looks like."""
    path = f"/api/mailing/{mailing_id}"
    replies = [api.get(path), api.delete(path), api.patch(path, {"text": "x"}), api.put(path, MailingBodyFactory())]
    replies += [api.post(f"{path}/{step}") for step in ("launch", "pause", "resume", "cancel")]
    assert {reply.status for reply in replies} == {404}


def test_the_list_begins_with_the_newest_and_can_be_filtered_by_status(api: Api) -> None:
    """Expects pages with all mailings, and totals by status."""
    made = []
    for _ in range(7):
        api.pass_time(seconds=1)
        made.append(_ordered(api)["id"])
    for mailing_id in made[:2]:
        api.post(f"/api/mailing/{mailing_id}/cancel")
    rows, query = [], {"limit": 3}
    while True:
        page = api.get("/api/mailing", query=query).json
        assert page["total"] == 7
        rows += [row["id"] for row in page["rows"]]
        if not page["next"]:
            break
        query = {"limit": 3, "cursor": page["next"]}
    assert rows == made[::-1]
    cancelled = api.get("/api/mailing", query={"status": "cancelled", "limit": 1}).json
    assert (cancelled["total"], len(cancelled["rows"])) == (2, 1)
    following = api.get("/api/mailing", query={"status": "cancelled", "limit": 1, "cursor": cancelled["next"]}).json
    assert {cancelled["rows"][0]["id"], following["rows"][0]["id"]} == set(made[:2])
    assert api.get("/api/mailing", query={"status": "sleeping"}).status == 422


def test_requests_for_mailings_scan_no_table(campaign: Campaign) -> None:
    """Expects no Scan behind any request for mailings and messages."""
    mailing_id = campaign.send(3)
    campaign.simulation.aws.calls.clear()
    for path in ("/api/mailing", "/api/mailing?status=finished", f"/api/mailing/{mailing_id}", "/api/messages"):
        assert campaign.api.get(path).status == 200
    assert "dynamodb.Scan" not in campaign.simulation.aws.calls
