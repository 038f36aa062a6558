"""/admin/settings: rate and circuit of the gateway, and who changed them."""

from __future__ import annotations

import re
from pathlib import Path
from unittest import mock

import pytest

from chalicelib.domain.balances import Balance
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Capabilities
from tests.support.api import Api, new_api
from tests.support.browsing import Browser, text_of


def test_the_rate_is_set(browser: Browser, api: Api) -> None:
    """Expects a number, and no limit if the field is empty."""
    assert "No limit." in text_of(browser.get("/admin/settings"))
    page = text_of(browser.post("/admin/settings/rate", {"rate": " 1500 "}))
    assert "1,500 messages per second for all mailings together." in page
    assert "SMS part" not in page
    told = api.get("/api/gateway").json
    assert (told["rate"], told["rate_counts"]) == (1500, "messages")
    browser.post("/admin/settings/rate", {"rate": ""})
    assert api.get("/api/gateway").json["rate"] is None


def test_a_rate_in_parts_is_shown_as_such() -> None:
    """Expects the page, its field and the API to say what the rate counts."""
    with new_api(counts_parts=True) as api:
        assert api.get("/api/gateway").json["rate_counts"] == "parts"
        browser = Browser(api)
        browser.sign_in()
        page = text_of(browser.post("/admin/settings/rate", {"rate": "30"}))
        assert "30 SMS parts per second for all mailings together. This gateway counts the SMS parts" in page
        assert "messages per second" not in page.lower()


@pytest.mark.parametrize("wrong", ["0", "10001", "-1", "1.5", "many", "٣"])
def test_an_invalid_rate_is_reported_beside_the_field(wrong: str, browser: Browser, api: Api) -> None:
    """Expects the input kept, and the rate unchanged."""
    page = browser.post("/admin/settings/rate", {"rate": wrong})
    assert page.status == 422
    assert f'value="{wrong}"' in page.text
    assert re.search(r'id="field-rate-error">must be', page.text)
    assert api.get("/api/gateway").json["rate"] is None


def test_the_circuit_is_opened_and_closed_with_a_reason(browser: Browser, api: Api) -> None:
    """Expects the page to say the state, why, and what can be done."""
    page = text_of(browser.get("/admin/settings"))
    assert "Messages are being sent." in page
    assert "Resume sending" not in page
    page = text_of(browser.post("/admin/settings/hold", {"reason": "a new gateway"}))
    assert "Somebody paused sending." in page
    assert "Reason: a new gateway" in page
    assert "Pause sending" not in page
    assert api.get("/api/gateway").json["circuit"] == "held"
    page = text_of(browser.post("/admin/settings/close", {"reason": "it works"}))
    assert "Messages are being sent." in page
    assert api.get("/api/gateway").json["circuit"] == "closed"


def test_a_circuit_that_opened_by_itself_can_be_closed_and_held(browser: Browser, api: Api) -> None:
    """Expects when the gateway is tried next, and both to be offered."""
    api.services.gateway_control._update(lambda control: control.tripped(api.clock.now(), 60, Cause.http(503)))
    page = text_of(browser.get("/admin/settings"))
    assert "Next try: 2 Mar 2026, 09:01:00" in page
    assert "HTTP 503" in page
    assert "Resume sending" in page
    assert "Pause sending" in page
    assert "automatically Sending on paused: gateway failing HTTP 503" in page


def test_changes_of_the_gateway_are_listed(browser: Browser, operators_browser: Browser, api: Api) -> None:
    """Expects who and when, from what to what, and why; the newest first."""
    browser.post("/admin/settings/rate", {"rate": "30"})
    api.pass_time(minutes=1)
    operators_browser.post("/admin/settings/hold", {"reason": "night"})
    trail = text_of(browser.get("/admin/settings")).partition("Recent changes")[2]
    newest, oldest = trail.index("operator Sending on paused by hand night"), trail.index("admin Rate no limit 30")
    assert newest < oldest
    assert "2 Mar 2026, 09:01:00" in trail


def test_the_list_of_changes_has_pages(browser: Browser, api: Api) -> None:
    """Expects every change once."""
    for rate in range(1, 61):
        api.services.gateway_control.set_rate(rate, f"user{rate:02d}")
    seen, path = [], "/admin/settings"
    while path:
        page = browser.get(path)
        seen += re.findall(r">(user\d\d)<", page.text)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = following[1] if following else ""
    assert seen == [f"user{rate:02d}" for rate in range(60, 0, -1)]


def test_a_reason_is_shown_as_text(browser: Browser) -> None:
    """Expects markup to be escaped, and an error beside the field if it is too long."""
    page = browser.post("/admin/settings/hold", {"reason": "<b>night</b>"})
    assert "<b>night" not in page.text
    page = browser.post("/admin/settings/close", {"reason": "x" * 201})
    assert page.status == 422
    assert re.search(r'id="field-reason-error">must have at most 200 characters', page.text)


def test_an_admin_can_send_the_daily_report(tmp_path: Path) -> None:
    """Expects the page to say when it is sent and to whom, and one more report at once, of the day in the form."""
    with new_api(report_to="a@x.org", report_from="r@x.org", mail_url=tmp_path.as_uri()) as api:
        browser = Browser(api)
        browser.sign_in()
        assert "Sent every day at 09:00 (UTC) to a@x.org. It covers the day before." in text_of(
            browser.get("/admin/settings")
        )
        page = text_of(browser.post("/admin/settings/report", {"day": ""}))
        assert "The report for 2 Mar 2026 was sent to a@x.org." in page
        browser.post("/admin/settings/report", {"day": "2026-02-28"})
        assert sorted(file.name[:16] for file in tmp_path.iterdir()) == ["daily-2026-02-28", "daily-2026-03-02"]
        refused = browser.post("/admin/settings/report", {"day": "2026-03-03"})
        assert (refused.status, "has not started yet" in refused.text) == (409, True)
        assert browser.post("/admin/settings/report", {"day": "soon"}).status == 422


def test_without_recipients_there_is_no_report_to_send(browser: Browser, operators_browser: Browser) -> None:
    """Expects admins to be told so, and operators not to see it at all."""
    assert "The report has no recipients. Set REPORT_TO to send it." in text_of(browser.get("/admin/settings"))
    assert "The daily report" not in text_of(operators_browser.get("/admin/settings"))
    assert operators_browser.post("/admin/settings/report", {"day": ""}).status == 403


def test_a_test_message_is_sent_from_the_page(browser: Browser, api: Api) -> None:
    """Expects the answer above the form, and nothing sent again if the page is reloaded."""
    form = browser.get("/admin/settings").text
    key = re.search(r'name="key" value="(\w+)"', form)
    assert key
    values = {"phone_number": "+447700900001", "text": "Hello", "key": key[1]}
    first = browser.post("/admin/settings/test", values)
    assert (first.status, "refused after" in text_of(first), "Reason: HTTP 400" in text_of(first)) == (200, True, True)
    with mock.patch.object(api.services.gateway, "send", side_effect=AssertionError):
        assert "refused after" in text_of(browser.post("/admin/settings/test", values))
    wrong = browser.post("/admin/settings/test", values | {"phone_number": "1"})
    assert (wrong.status, 'id="field-phone_number-error"' in wrong.text) == (422, True)


def test_the_balance_at_the_gateway_is_shown(browser: Browser, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Left at the gateway" not in text_of(browser.get("/admin/settings"))
    gateway = api.services.gateway
    monkeypatch.setattr(gateway, "capabilities", Capabilities(tells_balance=True))
    monkeypatch.setattr(gateway, "balance", lambda: Cause(Reason.NO_ANSWER))
    assert "Left at the gateway: not known" in text_of(browser.get("/admin/settings"))
    api.pass_time(minutes=11)
    monkeypatch.setattr(gateway, "balance", lambda: Balance("10.28", "EUR"))
    told = "Left at the gateway: 10.28 EUR, 2 Mar 2026, 09:11"
    assert told in text_of(browser.get("/admin/settings"))
    api.pass_time(minutes=11)
    monkeypatch.setattr(gateway, "balance", lambda: Cause(Reason.NO_ANSWER))
    assert told in text_of(browser.get("/admin/settings"))
