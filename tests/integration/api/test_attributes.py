"""/api/clients/: the language and the attributes of clients, in requests, imports and exports."""

from __future__ import annotations

import random
from typing import Any

import pytest

from chalicelib.domain.attributes import MOST_NAMES
from tests.factories import ClientBodyFactory
from tests.support.api import Api
from tests.support.campaign import Campaign

NUMBER = "+79161234567"
ATTRIBUTES = {"first_name": "Анна", "age": 30, "vip": True, "code": "012", "born": "1996-02-29", "rate": 1.5}


def created(api: Api, **fields: Any) -> dict[str, Any]:
    reply = api.post("/api/clients", {"phone_number": NUMBER, **fields})
    assert reply.status == 201, reply.text
    return dict(reply.json)


def imported(campaign: Campaign, text: str, **query: str) -> dict[str, Any]:
    """The import, once it is finished."""
    headers = {"Content-Type": "text/csv"}
    reply = campaign.api.post("/api/clients/imports/", raw=text.encode(), headers=headers, query=query)
    assert reply.status == 201, reply.text
    campaign.simulation.run_for(30)
    found = campaign.api.get(reply.headers["location"]).json
    assert found["status"] == "finished"
    return dict(found)


def exported(api: Api, **query: object) -> str:
    """All pages of an export as one file, as a caller gets it by following the links."""
    text, reply = "", api.get("/api/clients/export", query=query)
    for _ in range(50):
        text += reply.text
        if "link" not in reply.headers:
            return text
        path, _, parameters = reply.headers["link"].partition(">;")[0][1:].partition("?")
        reply = api.request("GET", path, query=dict(part.split("=") for part in parameters.split("&")))
    raise AssertionError("the export does not end")


def everybody(api: Api) -> dict[str, dict[str, Any]]:
    return {row["phone_number"]: row for row in api.get("/api/clients", query={"limit": 200}).json["rows"]}


def test_a_client_has_a_language_and_attributes(api: Api) -> None:
    """Expects every answer to have them as they were given, with the same types."""
    client = created(api, language="pt_br", attributes=ATTRIBUTES)
    assert (client["language"], client["attributes"]) == ("pt-BR", ATTRIBUTES)
    assert api.get(f"/api/clients/{client['id']}").json == client
    assert everybody(api)[NUMBER] == client
    assert api.post("/api/clients/lookup", {"phone_number": NUMBER}).json["client"] == client


def test_a_client_from_before_attributes_has_none(api: Api) -> None:
    """Expects both fields to be there, and empty."""
    client = created(api)
    assert (client["language"], client["attributes"]) == ("", {})


def test_a_patch_changes_the_attributes_that_it_names(api: Api) -> None:
    """Expects null to remove one, the others to stay, and a PUT to set all."""
    client = created(api, language="ru", attributes={"a": 1, "b": 2, "c": 3})
    path = f"/api/clients/{client['id']}"
    changed = api.patch(path, {"attributes": {"a": "x", "b": None}}).json
    assert (changed["language"], changed["attributes"]) == ("ru", {"a": "x", "c": 3})
    assert api.patch(path, {"tag": "vip"}).json["attributes"] == {"a": "x", "c": 3}
    assert api.patch(path, {"attributes": {"c": True}}).json["attributes"] == {"a": "x", "c": True}
    replaced = api.put(path, {"phone_number": NUMBER, "attributes": {"d": 1}}).json
    assert (replaced["language"], replaced["attributes"]) == ("", {"d": 1})


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"language": "russian"}, ["language"]),
        ({"language": None}, ["language"]),
        ({"attributes": []}, ["attributes"]),
        ({"attributes": {"First Name": "x", "b": ["x"]}}, ["attributes.First Name", "attributes.b"]),
        ({"attributes": {"a": None}}, ["attributes.a"]),
        ({"attributes": {"a": "", "b": 10**20, "tag": "x\ny"}}, ["attributes.a", "attributes.b", "attributes.tag"]),
        ({"attributes": {f"a{number}": 1 for number in range(31)}}, ["attributes"]),
        ({"attributes": {"a": "x" * 600, "b": "x" * 600}}, ["attributes"]),
    ],
)
def test_invalid_attributes_are_reported_with_their_path(api: Api, fields: dict[str, Any], wrong: list[str]) -> None:
    """Expects 422 with each wrong one, and no new client."""
    reply = api.post("/api/clients", {"phone_number": NUMBER, **fields})
    assert (reply.status, sorted(reply.errors)) == (422, sorted(wrong))
    assert everybody(api) == {}


def test_a_patch_cannot_exceed_the_number_of_attributes(api: Api) -> None:
    """Expects the limit to hold for old and new ones together."""
    client = created(api, attributes={f"a{number}": 1 for number in range(30)})
    reply = api.patch(f"/api/clients/{client['id']}", {"attributes": {"b": 1}})
    assert (reply.status, list(reply.errors)) == (422, ["attributes"])


def test_a_change_of_yes_to_1_is_a_change(campaign: Campaign) -> None:
    """Expects an import to distinguish the two."""
    created(campaign.api, attributes={"a": True})
    assert imported(campaign, f"phone_number,attributes.a\n{NUMBER},1\n")["changed"] == 1
    assert everybody(campaign.api)[NUMBER]["attributes"] == {"a": 1}


def test_an_export_can_be_imported_again_with_attributes(campaign: Campaign) -> None:
    """Expects nothing to change by it, whatever the values look like, and each attribute to have a column."""
    values = ("=1+1", "-5", -5, "true", True, "'x", "''", "12", 12, "012", 1.5, "1.50", 'a,b;"c', "привет")
    for number, value in enumerate(values):
        attributes = {"value": value, f"only_{number % 3}": number}
        campaign.api.post(
            "/api/clients", ClientBodyFactory(language=("", "ru", "pt-BR")[number % 3], attributes=attributes)
        )
    text = exported(campaign.api, limit=4)
    header = text.splitlines()[0].split(",")
    assert header[-4:] == ["attributes." + name for name in ("only_0", "value", "only_1", "only_2")]
    campaign.simulation.run_for(1)
    before = everybody(campaign.api)
    for mode in ("update", "replace"):
        found = imported(campaign, text, mode=mode)
        assert (found["rows"], found["unchanged"], found["rejected"]) == (len(values), len(values), 0)
        assert everybody(campaign.api) == before


def test_all_pages_of_an_export_have_the_same_columns(api: Api) -> None:
    """Expects an attribute that appears meanwhile to be left out, and no cell in another's column."""
    for number in range(4):
        api.post("/api/clients", ClientBodyFactory(attributes={"a": number}))
    first = api.get("/api/clients/export", query={"limit": 2})
    for client in everybody(api).values():
        api.patch(f"/api/clients/{client['id']}", {"attributes": {"b": "new"}})
    parameters = first.headers["link"].partition(">;")[0].partition("?")[2]
    second = api.get("/api/clients/export", query=dict(part.split("=") for part in parameters.split("&")))
    lines = [*first.text.splitlines(), *second.text.splitlines()]
    assert {line.count(",") for line in lines} == {lines[0].count(",")}
    assert len(lines) == 5
    assert "new" not in second.text


def test_an_import_changes_the_attributes_that_it_has(campaign: Campaign) -> None:
    """Expects a missing column and an empty cell to change nothing, and mode=replace to set all."""
    client = created(campaign.api, tag="vip", language="ru", attributes={"a": 1, "b": 2})
    text = f"phone_number,language,attribute:a,Attributes.NewOne\n{NUMBER},,,x\n"
    assert imported(campaign, text)["changed"] == 1
    after = everybody(campaign.api)[NUMBER]
    assert {name: after[name] for name in ("tag", "language", "attributes")} == {
        "tag": "vip",
        "language": "ru",
        "attributes": {"a": 1, "b": 2, "new_one": "x"},
    }
    assert imported(campaign, text)["unchanged"] == 1
    imported(campaign, text, mode="replace")
    after = everybody(campaign.api)[NUMBER]
    assert (after["id"], after["language"], after["attributes"]) == (client["id"], "", {"new_one": "x"})


def test_attributes_that_would_be_too_many_together_stay_as_they_were(campaign: Campaign) -> None:
    """Expects the row's other fields to be set: a file cannot make a client grow without limit."""
    created(campaign.api, attributes={f"a{number}": number for number in range(30)})
    imported(campaign, f"phone_number,tag,attributes.b\n{NUMBER},new,1\n")
    after = everybody(campaign.api)[NUMBER]
    assert (after["tag"], len(after["attributes"]), "b" in after["attributes"]) == ("new", 30, False)


def test_large_attributes_are_imported_in_items_that_fit(campaign: Campaign) -> None:
    """Expects every row of a file whose values cannot be compressed to be written."""
    rng = random.Random(1)
    rows = (f"+7916{number:07d},{rng.randbytes(450).hex()}" for number in range(1500))
    found = imported(campaign, "phone_number,attributes.a\n" + "\n".join(rows))
    assert (found["created"], found["rejected"]) == (1500, 0)


def test_the_number_of_different_attributes_is_limited(campaign: Campaign) -> None:
    """Expects one more name to be refused, in a file too, and existing names to be accepted."""
    for number in range(0, MOST_NAMES, 25):
        body = ClientBodyFactory(attributes={f"a{number + one}": 1 for one in range(25)})
        assert campaign.api.post("/api/clients", body).status == 201
    columns = campaign.api.get("/api/clients/export").text.splitlines()[0].split(",")[-MOST_NAMES:]
    assert sorted(columns) == sorted(f"attributes.a{number}" for number in range(MOST_NAMES))
    reply = campaign.api.post("/api/clients", {"phone_number": NUMBER, "attributes": {"one_more": 1}})
    assert (reply.status, list(reply.errors)) == (422, ["attributes"])
    text = f"phone_number,attributes.one_more\n{NUMBER},1\n".encode()
    reply = campaign.api.post("/api/clients/imports/", raw=text, headers={"Content-Type": "text/csv"})
    assert (reply.status, list(reply.errors)) == (422, ["attributes"])
    created(campaign.api, attributes={"a7": 1})
