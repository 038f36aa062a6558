"""POST /api/reports/daily/: an admin sends a report, as often as they want."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.users import Role
from chalicelib.emails.post import NotSent
from tests.support.api import Api, new_api

PATH = "/api/reports/daily/"


@pytest.fixture
def reporting(tmp_path: Path) -> Iterator[Api]:
    """A service that writes its reports to files."""
    with new_api(report_to="a@x.org,b@y.org", report_from="r@x.org", mail_url=tmp_path.as_uri()) as made:
        yield made


def test_a_report_without_a_day_is_of_today(reporting: Api, tmp_path: Path) -> None:
    """Expects a second one, with another file name, a moment later."""
    answer = reporting.post(PATH, {})
    assert answer.status == 200
    assert answer.json == {
        "day": "2026-03-02",
        "timezone": "UTC",
        "complete": False,
        "made_at": "2026-03-02T09:00:00.000Z",
        "recipients": ["a@x.org", "b@y.org"],
        "mailings": 0,
        "sent": 0,
    }
    reporting.pass_time(seconds=1)
    assert reporting.post(PATH, {"day": None}).status == 200
    assert len(list(tmp_path.glob("daily-2026-03-02-*.eml"))) == 2


def test_the_report_of_a_past_day_is_complete(reporting: Api, tmp_path: Path) -> None:
    """The file says which day."""
    assert reporting.post(PATH, {"day": "2026-02-28"}).json["complete"] is True
    assert len(list(tmp_path.glob("daily-2026-02-28-*.eml"))) == 1


@pytest.mark.parametrize("day", ["2026-02-30", "2026-3-2", "yesterday", 20260302, "0001-01-01", "9999-12-31", ""])
def test_an_invalid_date_is_refused(reporting: Api, day: Any) -> None:
    """With the name of the field."""
    answer = reporting.post(PATH, {"day": day})
    assert (answer.status, set(answer.errors)) == (422, {"day"})


def test_a_future_day_has_no_report(reporting: Api) -> None:
    """Expects 409, since the same request will be valid later."""
    assert reporting.post(PATH, {"day": "2026-03-03"}).status == 409


def test_without_recipients_no_report_is_sent(api: Api) -> None:
    """Expects 409 with the name of the setting."""
    answer = api.post(PATH, {})
    assert answer.status == 409
    assert "REPORT_TO" in answer.json["detail"]


def test_an_e_mail_service_that_refuses_is_a_503(reporting: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects it not to count as an error of ours."""

    def refuse(*given: object) -> str:
        raise NotSent("SES: MessageRejected")

    monkeypatch.setattr("chalicelib.emails.post.FilePost.send", refuse)
    assert reporting.post(PATH, {}).status == 503


def test_an_operator_cannot_send_a_report(reporting: Api) -> None:
    """A report goes to people outside."""
    reporting.sign_in_as(Role.OPERATOR)
    assert reporting.post(PATH, {}).status == 403
