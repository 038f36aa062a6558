"""/api/messages/: the messages of the ledger."""

from __future__ import annotations

import json

import pytest

from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from tests.factories import START, ClientBodyFactory, ClientFactory, MailingFactory, MessageFactory
from tests.support.api import Api
from tests.support.aws import Call
from tests.support.campaign import Campaign
from tests.support.turns import in_turn


def _walk(api: Api, **query: object) -> list[dict]:
    rows, cursor = [], None
    for _ in range(100):
        page = api.get("/api/messages", query={**query, **({"cursor": cursor} if cursor else {})}).json
        rows += page["rows"]
        cursor = page["next"]
        if cursor is None:
            return rows
    raise AssertionError("the list does not end")


def test_a_sent_message_has_all_its_details(campaign: Campaign) -> None:
    """Expects its client, number, mailing by name, the time at which it was sent, and its one attempt."""
    (client,) = campaign.add_clients(1, phone_number="+79161234567")
    mailing_id = campaign.order(name="Spring sale")
    campaign.finish(mailing_id)
    (row,) = campaign.api.get("/api/messages", query={"mailing": mailing_id}).json["rows"]
    assert row | {"start_date": "", "sent_at": "", "attempts": []} == {
        "id": f"{mailing_id}-{client}",
        "mailing": mailing_id,
        "mailing_name": "Spring sale",
        "client": client,
        "phone_number": "+79161234567",
        "status": "sent",
        "sending_status": True,
        "start_date": "",
        "sent_at": "",
        "due_at": None,
        "reason": "",
        "reason_code": None,
        "reason_detail": "",
        "attempts": [],
        "delivery": {
            "status": "pending",
            "at": None,
            "reason": "",
            "reason_code": None,
            "reason_detail": "",
            "permanent": False,
            "parts": None,
            "price": "",
        },
    }
    assert [attempt["outcome"] for attempt in row["attempts"]] == ["accepted"]
    assert row["start_date"] <= row["sent_at"]
    text = campaign.api.get(f"/api/mailing/{mailing_id}").json["text"]
    alone = campaign.api.get(f"/api/messages/{row['id']}/").json
    asked = {"gateway_id": alone["gateway_id"], "request": alone["request"]}
    assert alone == {**row, "text": text, "text_unknown": None, **asked}


def test_a_failed_message_says_why(campaign: Campaign) -> None:
    """Expects every attempt with its outcome, and the reason in words."""
    campaign.simulation.gateway.script = lambda gateway_id, nth: Answer(Outcome.REFUSED, Cause.http(400), 400)
    mailing_id = campaign.send()
    (row,) = campaign.api.get("/api/messages", query={"mailing": mailing_id}).json["rows"]
    assert (row["status"], row["sending_status"], row["reason"]) == ("failed", False, "HTTP 400")
    assert (row["reason_code"], row["reason_detail"]) == ("http", "400")
    assert [(one["outcome"], one["http_status"]) for one in row["attempts"]] == [("refused", 400)]


def test_the_list_has_every_message_of_a_mailing_once(campaign: Campaign) -> None:
    """Expects every client's message on one of the pages, and the total on each."""
    clients = campaign.add_clients(45)
    mailing_id = campaign.order()
    campaign.finish(mailing_id)
    page = campaign.api.get("/api/messages", query={"mailing": mailing_id, "limit": 10}).json
    assert (page["total"], len(page["rows"])) == (45, 10)
    assert sorted(row["client"] for row in _walk(campaign.api, mailing=mailing_id, limit=10)) == sorted(clients)


@pytest.mark.parametrize("limit", [3, 200])
def test_the_list_is_filtered_by_status(campaign: Campaign, limit: int) -> None:
    """Expects sent and failed messages separately, whatever the page length, with their totals."""
    refused, accepted = Answer(Outcome.REFUSED, Cause.http(400), 400), Answer(Outcome.ACCEPTED)
    campaign.simulation.gateway.script = in_turn([refused, accepted, accepted])
    mailing_id = campaign.send(40)
    api = campaign.api
    counts = api.get(f"/api/mailing/{mailing_id}").json["counts"]
    assert (counts["failed"], counts["sent"]) == (14, 26)
    for status in ("sent", "failed"):
        rows = _walk(api, mailing=mailing_id, status=status, limit=limit)
        assert {row["status"] for row in rows} == {status}
        assert len({row["id"] for row in rows}) == len(rows) == counts[status]
        page = api.get("/api/messages", query={"mailing": mailing_id, "status": status, "limit": limit}).json
        assert page["total"] == counts[status]
    assert _walk(api, mailing=mailing_id, status="expired") == []


def test_a_clients_messages_of_all_mailings_are_found(campaign: Campaign) -> None:
    """Expects one message of each mailing that the client got, and no other client's."""
    client, _ = campaign.add_clients(2)
    sent = [campaign.order(text=f"Text {number}") for number in range(3)]
    for mailing_id in sent:
        campaign.finish(mailing_id)
    rows = _walk(campaign.api, client=client, limit=2)
    assert {row["client"] for row in rows} == {client}
    assert {row["mailing"]: row["mailing_name"] for row in rows} == dict(
        zip(sent, ("Text 0", "Text 1", "Text 2"), strict=True)
    )
    both = campaign.api.get("/api/messages", query={"client": client, "mailing": sent[0]}).json
    assert (both["total"], [row["mailing_name"] for row in both["rows"]]) == (1, ["Text 0"])


def test_all_messages_can_be_listed(campaign: Campaign) -> None:
    """Expects every message once, those of the newest mailings first."""
    first = campaign.send(5, name="First")
    second = campaign.order(name="Second")
    campaign.finish(second)
    rows = _walk(campaign.api, limit=3)
    assert len({row["id"] for row in rows}) == len(rows) == 10
    assert [row["mailing"] for row in rows] == [second] * 5 + [first] * 5
    assert [row["mailing_name"] for row in rows] == ["Second"] * 5 + ["First"] * 5


def test_the_names_of_mailings_cost_at_most_one_read_of_a_page(campaign: Campaign) -> None:
    """Expects each mailing to be read once, as the list does anyway, however many rows it has."""
    mailing_id = campaign.send(12, name="Named once")
    api, calls = campaign.api, campaign.simulation.aws.calls
    found = []
    for limit in (2, 12):
        calls.clear()
        rows = api.get("/api/messages", query={"mailing": mailing_id, "limit": limit}).json["rows"]
        assert {row["mailing_name"] for row in rows} == {"Named once"}
        found.append(calls.count("dynamodb.GetItem"))
    assert found[0] == found[1]


def test_a_mailing_that_does_not_exist_has_no_messages(api: Api) -> None:
    """Expects an empty list, and 422 for an invalid id."""
    empty = {"total": 0, "rows": [], "next": None}
    assert api.get("/api/messages", query={"mailing": "01KJPWD6M099CBF4EZDBRXGRED"}).json == empty
    assert list(api.get("/api/messages", query={"mailing": "1"}).errors) == ["mailing"]
    assert list(api.get("/api/messages", query={"client": "1"}).errors) == ["client"]
    assert list(api.get("/api/messages", query={"status": "1"}).errors) == ["status"]


@pytest.mark.parametrize(
    "message_id", ["1", "-", "a-b", "01KJPWD6M099CBF4EZDBRXGRED-aaaaaaaaaaaaaaaa", "x" * 3000 + "-aaaaaaaaaaaaaaaa"]
)
def test_an_unknown_message_is_not_found(api: Api, message_id: str) -> None:
    """Expects 404, whatever the id looks like, without asking a table for an impossible key."""
    api.aws.calls.clear()
    assert api.get(f"/api/messages/{message_id}").status == 404
    reads = api.aws.calls.count("dynamodb.BatchGetItem") - 1  # which the token took
    # How its mailing's ledger is laid out, and the bucket.
    assert reads == (2 if "01KJPWD6M099CBF4EZDBRXGRED" in message_id else 0)


def test_messages_stay_when_their_client_is_deleted(campaign: Campaign) -> None:
    """Expects the ledger still to say who got a mailing."""
    client = campaign.api.post("/api/clients", ClientBodyFactory()).json["id"]
    mailing_id = campaign.order()
    campaign.finish(mailing_id)
    campaign.api.delete(f"/api/clients/{client}")
    assert campaign.api.get(f"/api/messages/{mailing_id}-{client}").json["status"] == "sent"


def test_a_page_costs_the_same_however_many_messages_there_are(campaign: Campaign) -> None:
    """Expects the same calls, for as many rows, for a mailing of 700 as for one of 1,500."""
    api, simulation = campaign.api, campaign.simulation
    usual = simulation.aws.before

    def cost(mailing_id: str) -> list[tuple[str, int]]:
        calls: list[tuple[str, int]] = []
        simulation.aws.before = lambda call: calls.append((call.operation, json.loads(call.body).get("Limit", 0)))
        for status in (None, "sent", "failed"):
            query = {"mailing": mailing_id, "limit": 5, **({"status": status} if status else {})}
            assert api.get("/api/messages", query=query).status == 200
        simulation.aws.before = usual
        return calls

    simulation.add_clients(700, tag="few")
    simulation.add_clients(1500, tag="many")
    few, many = (campaign.order(clients={"tag": tag}) for tag in ("few", "many"))
    campaign.finish(few)
    campaign.finish(many)
    assert cost(few) == cost(many)


def test_one_message_has_its_attempts_and_the_request_to_the_gateway(campaign: Campaign) -> None:
    """Expects a refused call and the one after it, in order, and no whole phone number."""
    busy, accepted = Answer(Outcome.FAILED, Cause.http(503), 503), Answer(Outcome.ACCEPTED, http_status=200)
    campaign.simulation.gateway.script = lambda gateway_id, nth: busy if nth == 1 else accepted
    (client,) = campaign.add_clients(1, phone_number="+79161234567")
    mailing_id = campaign.order(text="Hello 🙂")
    campaign.finish(mailing_id)
    message = campaign.api.get(f"/api/messages/{mailing_id}-{client}/").json
    assert [(one["http_status"], one["duration_ms"]) for one in message["attempts"]] == [(503, 20), (200, 20)]
    moments = [one["at"] for one in message["attempts"]]
    assert moments == sorted(moments)
    assert message["request"] == f"scripted {message['gateway_id']} +7********67 Hello 🙂"
    assert int(message["gateway_id"]) in campaign.simulation.gateway.calls()


def test_a_clients_history_costs_the_same_at_any_size(api: Api) -> None:
    """Expects one page of mailings and one batch of at most 100 rows, at 120 mailings as at 240."""
    repository = api.services.mailings._mailings
    ledger = api.services.messages._ledger
    client = ClientFactory()

    def add() -> None:
        for _ in range(120):
            mailing = MailingFactory(launched_at=START)
            repository.create(mailing)
            ledger.insert(
                [MessageFactory(mailing_id=mailing.mailing_id, client=one) for one in (client, ClientFactory())]
            )

    def cost() -> list[tuple[str, int]]:
        calls: list[tuple[str, int]] = []

        def note(call: Call) -> None:
            body = json.loads(call.body)
            keys = [key for table in body.get("RequestItems", {}).values() for key in table["Keys"]]
            calls.append((call.operation, body.get("Limit") or len(keys)))

        api.aws.before = note
        page = api.services.messages.history(client.client_id, None, "", 25)
        api.aws.before = lambda call: None
        assert len(page.entries) == 25
        assert page.cursor
        return calls

    add()
    at_few = cost()
    assert at_few == [("dynamodb.Query", 100), ("dynamodb.BatchGetItem", 100)]
    add()
    assert cost() == at_few


@pytest.mark.parametrize("keep", [True, False])
def test_the_text_as_it_was_sent_can_be_read(campaign: Campaign, keep: bool) -> None:
    """Expects it to be known unless the mailing keeps no values, an option that is returned and copied."""
    (client,) = campaign.add_clients(1, attributes={"first_name": "Anna"})
    mailing_id = campaign.order(text="Hello {{first_name}}", keep_values=keep)
    assert campaign.api.get(f"/api/mailing/{mailing_id}").json["keep_values"] is keep
    path = f"/api/messages/{mailing_id}-{client}"
    campaign.finish(mailing_id)
    told = campaign.api.get(path).json
    assert (told["text"], told["text_unknown"]) == (("Hello Anna", None) if keep else (None, "not_kept"))
