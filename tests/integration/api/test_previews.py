"""Previews of mailings, and what happens to a mailing that would reach nobody."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.factories import ClientBodyFactory, MailingBodyFactory
from tests.support.api import Api, new_api
from tests.support.campaign import Campaign

DAYTIME = {"from": "09:00", "until": "21:00"}


def _add(api: Api, count: int, **fields: object) -> None:
    for _ in range(count):
        assert api.post("/api/clients", ClientBodyFactory(**fields)).status == 201


def _preview(api: Api, **fields: object) -> dict:
    reply = api.post("/api/mailing/preview/", MailingBodyFactory(**fields))
    assert reply.status == 200, reply.text
    return reply.json


def test_a_draft_is_counted_by_time_zone_and_operator(api: Api) -> None:
    """Expects everyone who matches and nobody else, and nothing to be ordered."""
    _add(api, 3, timezone="Europe/Moscow", operator="916")
    _add(api, 2, timezone="Asia/Omsk", operator="903")
    _add(api, 1, timezone="UTC", phone_number="+442079460000", operator=None)
    _add(api, 4, tag="other")
    preview = _preview(api)
    assert (preview["matching"], preview["recipients"], preview["left_out"]) == (6, 6, [])
    zones = [(one["timezone"], one["matching"], one["recipients"]) for one in preview["by_timezone"]]
    assert zones == [("Asia/Omsk", 2, 2), ("Europe/Moscow", 3, 3), ("UTC", 1, 1)]
    operators = [(one["operator"], one["matching"]) for one in preview["by_operator"]]
    assert operators == [(None, 1), ("903", 2), ("916", 3)]
    assert api.get("/api/mailing").json["total"] == 0


@pytest.mark.parametrize(
    ("clients", "matching"),
    [
        ({}, 6),
        ({"tag": "vip"}, 3),
        ({"tag": ["vip", "gold"]}, 5),
        ({"operator": 916}, 3),
        ({"operator": ["916", "903"]}, 6),
        ({"tag": "vip", "operator": "903"}, 1),
        ({"tag": ["vip", "gold"], "operator": ["903"]}, 2),
        ({"tag": "none"}, 0),
    ],
)
def test_segments_are_counted_as_they_are_dispatched(api: Api, clients: dict, matching: int) -> None:
    """Expects any of the tags and any of the operators, each as nothing, one value or a list."""
    for pair in ("vip 916", "vip 916", "vip 903", "gold 916", "gold 903", "new 903"):
        tag, operator = pair.split()
        _add(api, 1, tag=tag, operator=operator)
    assert _preview(api, clients=clients)["matching"] == matching


def test_clients_who_are_left_out_are_counted_by_reason(campaign: Campaign) -> None:
    """Expects opted-out clients, and those whose hours do not begin before the end, as the ledger has them
    afterwards."""
    campaign.add_clients(3, timezone="UTC")
    campaign.add_clients(2, timezone="UTC", opted_out=True)
    campaign.add_clients(4, timezone="America/New_York")
    fields = {"local_window": DAYTIME, "lasts": timedelta(hours=2)}
    preview = _preview(campaign.api, **fields)
    assert (preview["matching"], preview["recipients"]) == (9, 3)
    expected = {"opted out": 2, "the mailing ends before the client's local hours begin": 4}
    assert {one["reason"]: one["count"] for one in preview["left_out"]} == expected
    mailing_id = campaign.order(**fields)
    campaign.finish(mailing_id)
    stats = campaign.api.get(f"/api/mailing/{mailing_id}/stats").json
    assert {one["reason"]: one["count"] for one in stats["by_reason"]} == expected
    assert stats["by_status"]["sent"] == preview["recipients"]


def test_the_texts_parts_are_counted(api: Api) -> None:
    """Expects the encoding, the parts of one message, and those of all messages together."""
    _add(api, 5)
    preview = _preview(api, text="Привет " * 11)
    assert (preview["text"]["encoding"], preview["text"]["units"], preview["text"]["parts"]) == ("UCS-2", 77, 2)
    assert preview["sms_parts"] == 10
    assert _preview(api, text="a" * 160)["text"] == {
        "encoding": "GSM-7",
        "characters": 160,
        "units": 160,
        "units_per_part": 160,
        "parts": 1,
        "forcing": "",
        "simpler": None,
    }


def test_the_duration_follows_from_the_configured_rate(api: Api) -> None:
    """Expects the lower of the mailing's and the gateway's rate to count."""
    _add(api, 20)
    fields = {"lasts": timedelta(seconds=10)}
    assert _preview(api, **fields)["window"] == {
        "starts_at": "2026-03-02T09:00:00.000Z",
        "ends_at": "2026-03-02T09:00:10.000Z",
        "seconds": 10,
        "rate": None,
        "seconds_needed": None,
        "finishes_at": None,
        "long_enough": True,
    }
    window = _preview(api, rate_limit=2, **fields)["window"]
    assert (window["seconds_needed"], window["long_enough"]) == (10, True)
    api.services.gateway_control.set_rate(1, "admin")
    api.pass_time(seconds=2)
    window = _preview(api, rate_limit=2, **fields)["window"]
    assert (window["seconds"], window["rate"], window["seconds_needed"], window["long_enough"]) == (8, 1, 20, False)


def test_a_long_text_takes_longer_with_a_rate_in_parts() -> None:
    """Expects three times as long for a text of three parts, unless the mailing's own rate is lower still."""
    with new_api(counts_parts=True) as api:
        _add(api, 20)
        api.services.gateway_control.set_rate(10, "admin")
        api.pass_time(seconds=2)
        for text, own, rate, needed, in_time in (
            ("x" * 160, None, 10, 2, True),
            ("x" * 459, None, 3.33, 6, False),
            ("x" * 459, 2, 2, 10, False),
            ("x" * 459, 4, 3.33, 6, False),
        ):
            window = _preview(api, text=text, rate_limit=own, lasts=timedelta(seconds=6))["window"]
            assert (window["rate"], window["long_enough"]) == (rate, in_time)
            assert window["seconds_needed"] == pytest.approx(needed)


def test_an_ordered_mailing_has_a_preview_too(api: Api) -> None:
    """Expects it for its own fields, with the clients of this moment."""
    mailing_id = api.post("/api/mailing", MailingBodyFactory(starts_in=timedelta(hours=1))).json["id"]
    assert api.get(f"/api/mailing/{mailing_id}/preview").json["matching"] == 0
    _add(api, 2)
    preview = api.get(f"/api/mailing/{mailing_id}/preview/").json
    assert (preview["matching"], preview["window"]["starts_at"]) == (2, "2026-03-02T10:00:00.000Z")
    assert api.get("/api/mailing/01KJPWD6M099CBF4EZDBRXGRED/preview").status == 404


def test_a_wrong_draft_is_refused_as_an_order_would_be(api: Api) -> None:
    """Expects 422 with the fields."""
    reply = api.post("/api/mailing/preview", MailingBodyFactory(text="", lasts=timedelta(0)))
    assert (reply.status, list(reply.errors)) == (422, ["text"])
    assert list(api.post("/api/mailing/preview", MailingBodyFactory(lasts=timedelta(0))).errors) == ["end_time"]


def test_a_preview_reads_no_client(api: Api) -> None:
    """Expects the same calls for few clients and for many, and none of the clients' table."""
    _add(api, 1)
    _preview(api)  # which also reads the gateway's rate, to be remembered for a second
    costs = []
    for more in (0, 60):
        _add(api, more)
        calls: list[tuple[str, bool]] = []
        api.aws.before = lambda call, calls=calls: calls.append((call.operation, b"local-clients" in call.body))
        _preview(api)
        api.aws.before = lambda call: None
        costs.append(calls)
    assert costs[0] == costs[1]
    assert not any(of_clients for _, of_clients in costs[0])


def test_a_mailing_that_starts_at_once_needs_clients(api: Api) -> None:
    """Expects 422 that names the clients, and no mailing; one that starts later may match clients by then."""
    reply = api.post("/api/mailing", MailingBodyFactory(clients={"tag": "nobody"}))
    assert reply.status == 422
    assert list(reply.errors) == ["clients"]
    assert "match no client" in reply.errors["clients"]
    assert api.get("/api/mailing").json["total"] == 0
    later = api.post("/api/mailing", MailingBodyFactory(clients={"tag": "nobody"}, starts_in=timedelta(hours=1)))
    assert later.status == 201
    launched = api.post(f"/api/mailing/{later.json['id']}/launch")
    assert launched.status == 409
    assert "no client matches" in launched.json["detail"]
    moved = api.patch(f"/api/mailing/{later.json['id']}", {"start_time": api.ago(seconds=1)})
    assert list(moved.errors) == ["clients"]
