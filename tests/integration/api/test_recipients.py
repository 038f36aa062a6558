"""A file of numbers for one mailing only: an import with `for_mailing`, which the mailing names."""

from __future__ import annotations

import pytest

from tests.support.api import Api, Reply
from tests.support.campaign import Campaign

CSV = {"Content-Type": "text/csv"}
FILE = "phone,First name,Plan,TZ,id\n+447700900001,Anna,gold,Europe/London,1\n+447700900001,Bob,,,2\n12,,,,3\n"
WINDOW = {"start_time": "2026-03-02T12:00:00Z", "end_time": "2026-03-02T18:00:00Z"}


def upload(api: Api, text: str = FILE, path: str = "", **query: str) -> Reply:
    return api.post(
        f"/api/clients/imports{path}", raw=text.encode(), headers=CSV, query={"for_mailing": "true"} | query
    )


def uploaded(campaign: Campaign) -> str:
    """The id of a file that was read."""
    made = upload(campaign.api, file_name="Codes.csv")
    campaign.simulation.run_for(10)
    return made.json["id"]


def test_a_file_is_read_like_an_import(campaign: Campaign) -> None:
    """Expects every column that is no field to be a value, rejected rows to be reported, and no new client."""
    api = campaign.api
    found = api.get(f"/api/clients/imports/{uploaded(campaign)}").json
    assert found["for_mailing"] is True
    assert (found["status"], found["rows"], found["rejected"], found["created"]) == ("finished", 3, 2, 1)
    assert found["columns"] == {
        "phone": "phone_number",
        "First name": "attributes.first_name",
        "Plan": "attributes.plan",
        "TZ": "timezone",
        "id": "",
    }
    rejected = api.get(f"/api/clients/imports/{found['id']}/rejected").json["rows"]
    assert [(row["row"], row["field"]) for row in rejected] == [(3, "phone_number"), (4, "phone_number")]
    assert api.get("/api/clients").json["total"] == 0
    assert api.get("/api/clients/imports").json["rows"][0]["for_mailing"] is True


def test_a_file_is_checked_first_or_held(campaign: Campaign) -> None:
    """Expects a dry run to say what each column is, and a held file not to count before it is started."""
    api = campaign.api
    checked = upload(api, path="/check", column="language:Plan").json  # of the two rows the second
    assert (checked["accepted"], checked["columns"]["Plan"]) == (1, "language")
    (error,) = upload(api, path="/check", column="tag:Plan").json["errors"]
    assert (error["field"], error["code"]) == ("column", "not_a_choice")
    held = upload(api, hold="true").json
    mailing = {"text": "Hi", "clients": {"recipients": held["id"]}, **WINDOW}
    campaign.simulation.run_for(10)
    refused = api.post("/api/mailing", mailing)
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "clients.recipients")
    assert api.post(f"/api/clients/imports/{held['id']}/start").status == 200
    campaign.simulation.run_for(10)
    assert api.post("/api/mailing", mailing).status == 201


def test_a_mailing_names_its_file(campaign: Campaign) -> None:
    """Expects the answer to name it, the preview to count it, and no other mailing to get it."""
    api, file_id = campaign.api, uploaded(campaign)
    body = {"text": "Hi {{first_name}}", "clients": {"recipients": file_id}, **WINDOW}
    preview = api.post("/api/mailing/preview", body).json
    assert (preview["matching"], preview["recipients"]) == (1, 1)
    made = api.post("/api/mailing", body, headers={"Idempotency-Key": "one"})
    assert made.status == 201, made.text
    assert api.post("/api/mailing", body, headers={"Idempotency-Key": "one"}).json["id"] == made.json["id"]
    assert made.json["clients"] == {"tag": None, "operator": None, "filter": None, "recipients": file_id}
    used = api.post("/api/mailing", body)
    assert (used.status, used.json["errors"][0]["field"]) == (422, "clients.recipients")
    assert made.json["id"] in used.json["errors"][0]["message"]
    assert api.get(f"/api/mailing/{made.json['id']}/preview").json["recipients"] == 1


@pytest.mark.parametrize(
    ("clients", "field"),
    [
        ({"recipients": "01KJPWD6M07GT4RGC9XCQHXN3Y"}, "clients.recipients"),
        ({"recipients": "nothing"}, "clients.recipients"),
        ({"recipients": "01KJPWD6M07GT4RGC9XCQHXN3Y", "tag": "vip"}, "clients.recipients"),
        ({"recipients": 5}, "clients.recipients"),
    ],
)
def test_an_invalid_file_is_refused(api: Api, clients: dict[str, object], field: str) -> None:
    for path in ("/api/mailing", "/api/mailing/preview"):
        refused = api.post(path, {"text": "Hi", "clients": clients, **WINDOW})
        assert refused.status == 422, refused.text
        assert [one["field"] for one in refused.json["errors"]] == [field]


def test_a_saved_segment_cannot_have_a_file(campaign: Campaign) -> None:
    segment = {"name": "Codes", "clients": {"recipients": uploaded(campaign)}}
    refused = campaign.api.post("/api/segments", segment)
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "clients.recipients")
