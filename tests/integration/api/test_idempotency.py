"""Idempotency-Key: a repeated request for a mailing does not order a second one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from botocore.exceptions import ConnectionClosedError

from chalicelib.web.bodies import NewMailingBody
from tests.factories import ClientBodyFactory, MailingBodyFactory, UserBodyFactory
from tests.support.api import Api, Reply
from tests.support.aws import Call
from tests.support.campaign import Campaign

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
LATER = timedelta(hours=1)


@pytest.fixture
def api(api: Api) -> Api:
    """A service with a client to send to."""
    api.post("/api/clients", ClientBodyFactory())
    return api


def _order(api: Api, body: dict, **options: object) -> Reply:
    return api.post("/api/mailing", body, headers=KEY, **options)


def test_the_same_request_is_answered_the_same(api: Api) -> None:
    """Expects the same status, body and location, and one mailing."""
    body = MailingBodyFactory()
    first, second = _order(api, body), _order(api, body)
    assert first.status == second.status == 201
    assert first.text == second.text
    assert first.headers["location"] == second.headers["location"]
    assert api.get("/api/mailing").json["total"] == 1


def test_the_answer_stays_the_same_whatever_happens_meanwhile(campaign: Campaign) -> None:
    """Expects the first answer also once the mailing has run, its window has closed, or it was deleted."""
    api, body = campaign.api, MailingBodyFactory()
    campaign.add_clients(3)
    first = _order(api, body)
    campaign.finish(first.json["id"])
    campaign.simulation.run_quietly_for(7200)
    assert _order(api, body).text == first.text
    assert api.delete(f"/api/mailing/{first.json['id']}").status == 204
    campaign.simulation.run_for(120)
    assert _order(api, body).text == first.text
    campaign.simulation.run_for(120)
    assert api.get("/api/mailing").json["total"] == 0
    assert len(campaign.simulation.gateway.log) == 3


def test_the_order_of_fields_does_not_matter(api: Api) -> None:
    """Expects the same fields in another order to be the same request."""
    body = MailingBodyFactory()
    first = _order(api, body)
    assert _order(api, dict(reversed(body.items()))).text == first.text


def test_defaults_that_are_written_out_make_no_difference(api: Api) -> None:
    """Expects a body with defaults to be the same as one without them."""
    body = MailingBodyFactory()
    first = _order(api, body)
    spelled_out = {
        **body,
        "late": "run",
        "draft": False,
        "texts": None,
        "clients": {**body["clients"], "operator": None},
    }
    assert _order(api, spelled_out).text == first.text


def test_a_request_is_recognised_after_a_version_that_adds_a_field() -> None:
    """Expects a body to be the same for a model with one more field that has a default."""

    class LaterBody(NewMailingBody):
        later: int = 3

    body = MailingBodyFactory()
    assert LaterBody(**body).content() == NewMailingBody(**body).content()
    assert LaterBody(**body, later=4).content() != NewMailingBody(**body).content()


def test_another_body_under_the_key_is_refused(api: Api) -> None:
    """Expects 422 that names the header, and no second mailing."""
    _order(api, MailingBodyFactory())
    reply = _order(api, MailingBodyFactory(text="Another"))
    assert reply.status == 422
    assert list(reply.errors) == ["Idempotency-Key"]
    assert api.get("/api/mailing").json["total"] == 1


def test_a_refused_request_leaves_the_key_free(api: Api) -> None:
    """Expects the corrected body to be accepted under the same key."""
    assert _order(api, MailingBodyFactory(text="")).status == 422
    assert _order(api, MailingBodyFactory(lasts=timedelta(0))).status == 422
    assert _order(api, MailingBodyFactory()).status == 201


def test_users_do_not_share_keys(api: Api) -> None:
    """Expects two users with the same key to get a mailing each."""
    user = UserBodyFactory()
    api.post("/api/users", user)
    token = api.post("/auth-token", {name: user[name] for name in ("username", "password")}, token="").json["token"]
    body = MailingBodyFactory()
    assert _order(api, body).json["id"] != _order(api, body, token=token).json["id"]


def test_a_key_is_remembered_for_a_day(api: Api) -> None:
    """Expects it to be free again afterwards, whether or not the table has removed it."""
    body = MailingBodyFactory(starts_in=timedelta(days=2))
    first = _order(api, body)
    api.pass_time(hours=23, minutes=59)
    assert _order(api, body).text == first.text
    api.pass_time(minutes=2)
    assert _order(api, body).json["id"] != first.json["id"]


@pytest.mark.parametrize("key", ["", "with space", "x" * 256, "Schlüssel", "a\tb"])
def test_an_invalid_key_is_refused(api: Api, key: str) -> None:
    """Expects 422 that names the header."""
    reply = api.post("/api/mailing", MailingBodyFactory(), headers={"Idempotency-Key": key})
    assert (reply.status, list(reply.errors)) == (422, ["Idempotency-Key"])


def test_two_at_once_order_one_mailing(api: Api) -> None:
    """Expects the second one to get the first one's answer."""
    body = MailingBodyFactory()
    others: list[Reply] = []

    def overtake(call: Call) -> None:
        if call.operation == "dynamodb.TransactWriteItems" and not others:
            others.append(Reply(0, {}, ""))
            others.append(_order(api, body))

    api.aws.before = overtake
    slower = _order(api, body)
    assert [slower.status, others[1].status] == [201, 201]
    assert slower.text == others[1].text
    assert api.get("/api/mailing").json["total"] == 1


def test_two_at_once_with_different_bodies_order_one_mailing(api: Api) -> None:
    """Expects the second one to be refused."""
    others: list[Reply] = []

    def overtake(call: Call) -> None:
        if call.operation == "dynamodb.TransactWriteItems" and not others:
            others.append(Reply(0, {}, ""))
            others.append(_order(api, MailingBodyFactory(text="Another")))

    api.aws.before = overtake
    assert (_order(api, MailingBodyFactory()).status, others[1].status) == (422, 201)
    assert api.get("/api/mailing").json["total"] == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_while_ordering_neither_loses_nor_doubles_the_mailing(campaign: Campaign, moment: str) -> None:
    """Expects one mailing, delivered once, after the caller's retry: key and mailing are one write."""
    campaign.add_clients(2)
    api, body = campaign.api, MailingBodyFactory()
    usual = campaign.simulation.aws.before

    def crash(call: Call) -> None:
        if call.operation == "dynamodb.TransactWriteItems":
            raise ConnectionClosedError(endpoint_url="the function was stopped")

    setattr(campaign.simulation.aws, moment, crash)
    assert _order(api, body).status == 503
    campaign.simulation.aws.before, campaign.simulation.aws.after = usual, lambda call: None
    reply = _order(api, body)
    assert reply.status == 201
    campaign.finish(reply.json["id"])
    assert api.get("/api/mailing").json["total"] == 1
    assert len(campaign.simulation.gateway.log) == 2


def test_a_crash_before_the_launch_was_queued_is_repaired(campaign: Campaign) -> None:
    """Expects the repeated request to start the mailing of the first one."""
    campaign.add_clients(2)
    api, body = campaign.api, MailingBodyFactory()
    campaign.simulation.aws.after = lambda call: (
        (_ for _ in ()).throw(SystemExit) if "Transact" in call.operation else None
    )
    with pytest.raises(SystemExit):
        _order(api, body)
    campaign.simulation.aws.after = lambda call: None
    assert _order(api, body).status == 201
    campaign.simulation.run_for(5)
    assert len(campaign.simulation.gateway.log) == 2
