"""Lists: everybody in a file gets a tag, for mailings and filters."""

from __future__ import annotations

from tests.factories import MailingBodyFactory
from tests.integration.api.test_imports import _clients, _errors, _imported, _numbers, _upload
from tests.support.campaign import Campaign

FILE = "phone_number,tag,opted_out\n+79160000001,,\n+79160000002,vip,\n+79160000003,,true\n"
LIST = {"add_tag": "Spring"}


def tags(campaign: Campaign) -> dict[str, list[str]]:
    return {number[-1]: one["tags"] for number, one in _clients(campaign.api).items()}


def test_everybody_in_the_file_gets_the_tag_of_the_list(campaign: Campaign) -> None:
    """Expects old tags to stay if the file has none, and a second import to change nothing."""
    assert campaign.api.post("/api/clients", {"phone_number": "+79160000001", "tags": ["old", "older"]}).status == 201
    assert campaign.api.post("/api/clients", {"phone_number": "+79160000009", "tag": "other"}).status == 201
    assert _numbers(_imported(campaign, FILE, LIST)) == [3, 3, 0, 3, 2, 1, 0]
    assert tags(campaign) == {"1": ["old", "older", "Spring"], "2": ["vip", "Spring"], "3": ["Spring"], "9": ["other"]}
    assert _numbers(_imported(campaign, FILE, LIST)) == [3, 3, 0, 3, 0, 0, 3]
    mailing = campaign.order(clients={"tag": "Spring"})
    campaign.finish(mailing)
    assert campaign.api.get(f"/api/mailing/{mailing}").json["counts"]["sent"] == 2
    others = {"filter": {"not": {"tag": "Spring"}}}
    preview = campaign.api.post("/api/mailing/preview/", MailingBodyFactory(clients=others)).json
    assert preview["matching"] == 1


def test_a_check_says_what_would_change(campaign: Campaign) -> None:
    _imported(campaign, FILE)
    check = campaign.api.post(
        "/api/clients/imports/check", raw=FILE.encode(), headers={"Content-Type": "text/csv"}, query=LIST
    )
    assert check.json["expected"]["changed"] == 3
    assert tags(campaign)["1"] == []


def test_clients_with_too_many_tags_are_rejected(campaign: Campaign) -> None:
    """Expects the row in the report, the client unchanged, and an external id to stay."""
    full = {"phone_number": "+79160000001", "tags": [f"t{place}" for place in range(20)], "external_id": "one"}
    assert campaign.api.post("/api/clients", full).status == 201
    found = _imported(campaign, FILE, LIST)
    assert _numbers(found) == [3, 2, 1, 2, 2, 0, 0]
    assert _errors(campaign.api, found["id"]) == [(2, "tags")]
    client = _clients(campaign.api)["+79160000001"]
    assert (len(client["tags"]), client["external_id"]) == (20, "one")


def test_an_opt_out_in_a_rejected_row_adds_nobody_to_the_list(campaign: Campaign) -> None:
    assert campaign.api.post("/api/clients", {"phone_number": "+79160000001"}).status == 201
    _imported(campaign, "phone_number,opted_out,timezone\n+79160000001,true,nowhere\n", LIST)
    client = _clients(campaign.api)["+79160000001"]
    assert (client["opted_out"], client["tags"]) == (True, [])


def test_an_invalid_tag_is_refused(campaign: Campaign) -> None:
    answer = _upload(campaign.api, FILE, query={"add_tag": "x" * 65})
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, "add_tag")
