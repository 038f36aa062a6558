"""The calendar: mailings on the days on which they start, in the reader's own time zone."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from chalicelib.services import overviews
from tests.factories import MailingBodyFactory
from tests.support.api import Api
from tests.support.browsing import Browser, text_of
from tests.support.campaign import Campaign


def _order(api: Api, text: str, **starts_in: float) -> str:
    answer = api.post("/api/mailing", MailingBodyFactory(text=text, starts_in=timedelta(**starts_in)))
    assert answer.status == 201
    return str(answer.json["id"])


def _day(page: str, day: str) -> str:
    """The content of a day's cell."""
    return page.partition(f'<time datetime="{day}"')[2].partition("calendar-day")[0]


def test_a_mailing_is_on_the_day_of_its_start(api: Api, browser: Browser) -> None:
    """Expects its time, its text, its status and a link to it, in the month and in the week; today is marked."""
    mailing_id = _order(api, "Spring sale", days=2)
    for span in ("", "?span=week", "?span=month&day=2026-03-31"):
        page = browser.get(f"/admin/calendar{span}")
        assert page.status == 200
        if "day" in span or span == "":
            assert "March 2026" in text_of(page)
            assert page.text.count('class="calendar-day"') == 42
        cell = _day(page.text, "2026-03-04")
        assert "Spring sale" in cell
        assert f"/admin/mailings/{mailing_id}" in cell
        assert "scheduled" in cell
        assert "Spring sale" not in _day(page.text, "2026-03-03")
    assert 'datetime="2026-03-02" aria-current="date"' in page.text


def test_days_are_those_of_the_readers_time_zone(api: Api, browser: Browser) -> None:
    """Expects a mailing late in the evening in UTC to be on the next day in Tokyo."""
    _order(api, "Late", hours=13)  # 22:00 UTC
    assert "Late" in _day(browser.get("/admin/calendar").text, "2026-03-02")
    browser.post("/admin/preferences", {"zone": "Asia/Tokyo"})
    cell = _day(browser.get("/admin/calendar").text, "2026-03-03")
    assert "Late" in cell
    assert "07:00" in cell


def test_other_months_and_weeks_are_one_click_away(browser: Browser) -> None:
    """Expects links to the month or week before and after, as far as dates are valid."""
    page = browser.get("/admin/calendar?day=2026-01-31")
    assert "span=month&amp;day=2025-12-01" in page.text
    assert "span=month&amp;day=2026-02-01" in page.text
    assert "No mailings start on these days." in text_of(page)
    page = browser.get("/admin/calendar?span=week&day=2026-03-02")
    assert "span=week&amp;day=2026-02-23" in page.text
    assert "span=week&amp;day=2026-03-09" in page.text
    assert 'rel="prev"' not in browser.get("/admin/calendar?day=2000-01-15").text
    assert 'rel="next"' not in browser.get("/admin/calendar?day=2199-12-15").text


@pytest.mark.parametrize("query", ["day=1999-12-31", "day=tomorrow", "span=year", "day=2026-02-30", "other=1"])
def test_an_invalid_day_is_refused(browser: Browser, query: str) -> None:
    """Expects a page that says so."""
    assert browser.get(f"/admin/calendar?{query}").status == 422


def test_a_full_day_leads_to_its_week(api: Api, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects four mailings of a day in the month, how many more there are, and all in the week, with a note if they
    do not fit."""
    for number in range(6):
        _order(api, f"Mailing number {number}", days=1, minutes=number)
    cell = _day(browser.get("/admin/calendar").text, "2026-03-03")
    assert [f"Mailing number {number}" in cell for number in range(6)] == [True] * 4 + [False] * 2
    assert "span=week&amp;day=2026-03-03" in cell
    assert "and 2 more" in cell
    cell = _day(browser.get("/admin/calendar?span=week").text, "2026-03-03")
    assert all(f"Mailing number {number}" in cell for number in range(6))
    monkeypatch.setattr(overviews, "MOST_STARTING", 5)
    assert "too many mailings" in text_of(browser.get("/admin/calendar"))


def test_mailings_are_compared_by_their_results(campaign: Campaign) -> None:
    """Expects shares of people and the time taken, with a chart above, for mailings that have begun."""
    browser = Browser(campaign.api)
    browser.sign_in()
    campaign.send(3, text="All of them")
    campaign.give_up(1, text="Not all of them")
    campaign.order(text="Not yet", starts_in=timedelta(days=1))
    page = browser.get("/admin/mailings/compare?since=2026-03-01&until=2026-03-05")
    rows = page.text.partition("<tbody>")[2].rpartition("</tbody>")[0]
    rows = rows.rpartition("<tbody>")[2].split("</tr>")[:-1]
    told = [re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", row)) for row in rows]
    assert len(told) == 2
    (everybody,) = (row for row in told if "All of them" in row)
    (some,) = (row for row in told if "Not all of them" in row)
    assert "finished" in everybody
    assert "3 100.0 % 0.0 % 0.0 %" in everybody
    assert "9 88.9 % 11.1 % 0.0 %" in some
    assert "Not yet" not in page.text
    assert "Messages, by the day" in page.text
    empty = browser.get("/admin/mailings/compare?since=2025-12-01&until=2025-12-31")
    assert "No mailing sent anything on these days." in text_of(empty)


def test_a_long_span_is_compared_by_weeks_and_one_that_is_too_long_is_refused(browser: Browser) -> None:
    """Expects at most a year, in order of time; without dates it is the last 30 days."""
    assert 'value="2026-02-01"' in browser.get("/admin/mailings/compare").text
    assert browser.get("/admin/mailings/compare?since=2025-03-02&until=2026-03-02").status == 200
    for query in ("since=2025-03-01&until=2026-03-02", "since=2026-03-03&until=2026-03-02"):
        page = browser.get(f"/admin/mailings/compare?{query}")
        assert page.status == 422
        assert "at most a year after the first day" in text_of(page)
