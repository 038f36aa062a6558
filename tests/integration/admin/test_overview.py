"""/admin: what is happening now, what comes next, and how the last day was."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta

import pytest

from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.gateways.base import Answer
from tests.factories import ClientBodyFactory, MailingBodyFactory
from tests.support.api import Api
from tests.support.browsing import Browser, text_of
from tests.support.campaign import OK, Campaign

NOW = "/admin/overview/now"


def now(browser: Browser) -> str:
    """The text of the part that refreshes, in one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", browser.get(NOW, headers={"HX-Request": "true"}).text))


def test_an_empty_service_says_what_to_do_next(browser: Browser, api: Api) -> None:
    """Expects it to suggest clients first, then a mailing, and no empty chart."""
    page = browser.get("/admin")
    assert "First add clients" in text_of(page)
    assert 'href="/admin/clients"' in page.text
    assert "The last 24 hours" not in page.text
    api.post("/api/clients", ClientBodyFactory())
    page = browser.get("/admin")
    assert "You have 1 client to send to." in text_of(page)
    assert 'href="/admin/mailings/new"' in page.text


def test_running_mailings_have_rate_and_time_left(campaign: Campaign, on_call: Browser) -> None:
    """Expects a bar of what is done, and the time that the rest of 100 takes at 2 messages a second."""
    campaign.add_clients(100)
    campaign.order(text="Sale on Monday", rate_limit=2)
    campaign.simulation.run_for(20)
    page = now(on_call)
    shown = re.search(r"Sale on Monday running (\d+) of 100 (\d\.\d) per second (\d+) s left until", page)
    assert shown, page
    done, rate, left = int(shown[1]), float(shown[2]), int(shown[3])
    assert 20 <= done <= 40
    assert 1 < rate <= 2
    assert left == pytest.approx((100 - done) / rate, rel=0.05)
    assert f'aria-valuenow="{done}"' in on_call.get(NOW).text
    assert f"Left to send {100 - done} " in page
    assert f"Sent today {done} " in page


def test_there_is_no_rate_and_no_time_left_while_all_sending_is_paused(campaign: Campaign, on_call: Browser) -> None:
    """Expects neither on the overview nor on the mailing's page, and both again once it goes on."""
    campaign.add_clients(40)
    mailing_id = campaign.order(text="Sale on Monday", rate_limit=2)
    campaign.simulation.run_for(6)
    looks = (lambda: now(on_call), lambda: text_of(on_call.get(f"/admin/mailings/{mailing_id}")))
    for action, shown in ((None, True), ("hold", False), ("close", True)):
        if action:
            campaign.api.post(f"/api/gateway/{action}", {})
            campaign.simulation.run_for(5)
        for look in looks:
            found = [re.search(told, look()) for told in (r"\d\.\d per second", r"\d s left")]
            assert [one is not None for one in found] == [shown, shown], action


def test_a_mailing_that_will_not_finish_in_time_is_marked(campaign: Campaign, on_call: Browser) -> None:
    """Expects a warning for it, and none for one that will."""
    campaign.add_clients(100)
    campaign.order(text="too slow", rate_limit=2, lasts=timedelta(seconds=30))
    campaign.order(text="in time", rate_limit=2)
    campaign.simulation.run_for(15)
    cards = on_call.get(NOW).text.split('<li class="card">')[1:]
    told = {"too slow" in card: "the mailing will end before everyone gets it" in card for card in cards}
    assert told == {True: True, False: False}


def test_a_paused_mailing_is_shown_without_a_rate(campaign: Campaign, on_call: Browser) -> None:
    """Expects its bar, but neither rate nor time left."""
    campaign.add_clients(50)
    mailing = campaign.order(rate_limit=2)
    campaign.simulation.run_for(10)
    campaign.api.post(f"/api/mailing/{mailing}/pause")
    page = now(on_call)
    assert re.search(r"paused \d+ of 50 until", page)


def test_the_last_day_is_counted_by_hour(campaign: Campaign, on_call: Browser) -> None:
    """Expects sent and failed messages in their hour, of every mailing, deleted ones too."""
    answers = iter([Answer(Outcome.REFUSED, Cause.http(400), 400)] * 3)
    campaign.simulation.gateway.script = lambda gateway_id, nth: next(answers, OK)
    first = campaign.send(10)
    campaign.api.delete(f"/api/mailing/{first}")
    campaign.simulation.run_quietly_for(7200)
    campaign.add_clients(5, tag="other")
    campaign.finish(campaign.order(clients={"tag": "other"}, lasts=timedelta(hours=9)))
    page = on_call.get("/admin")
    assert "The last 24 hours sent 12 failed 3 not sent for another reason 0" in text_of(page)
    rows = dict(re.findall(r'<th scope="row">2 Mar 2026, (\d\d:\d\d)</th>(.*?)</tr>', page.text))
    assert {hour: re.findall(r">(\d+)<", cells) for hour, cells in rows.items()} == {
        "09:00": ["7", "3", "0"],
        "11:00": ["5", "0", "0"],
    }
    assert "Sent today 12 Failed today 3 Left to send 0 Failed messages 0" in now(on_call)


def test_today_begins_at_midnight_of_the_operators_zone(campaign: Campaign, on_call: Browser) -> None:
    """Expects a message sent at 09:00 UTC to be of today in Moscow, and of yesterday fifteen hours later."""
    campaign.send(4)
    on_call.cookies["zone"] = "Europe/Moscow"
    assert "Sent today 4 " in now(on_call)
    campaign.simulation.run_quietly_for(12 * 3600 + 600)
    assert "Sent today 0 " in now(on_call)
    on_call.cookies["zone"] = "UTC"
    assert "Sent today 4 " in now(on_call)


def test_expired_messages_are_counted_as_not_sent(campaign: Campaign, on_call: Browser) -> None:
    """Expects everyone to be in the chart once, whatever ended the message."""
    campaign.add_clients(60)
    campaign.finish(campaign.order(rate_limit=1, lasts=timedelta(seconds=20)))
    shown = re.search(r"sent (\d+) failed 0 not sent for another reason (\d+)", text_of(on_call.get("/admin")))
    assert shown
    assert int(shown[1]) + int(shown[2]) == 60
    assert int(shown[2]) > 20


def test_trouble_is_shown(campaign: Campaign, on_call: Browser) -> None:
    """Expects dead letters and the circuit, and what it means that sending is paused."""
    campaign.give_up(2)
    campaign.api.post("/api/gateway/hold", {"reason": "maintenance"})
    page = now(on_call)
    assert "Failed messages 2 " in page
    assert "Sending is paused by admin since 2 Mar 2026" in page
    assert "Sending is paused. Nothing is sent until somebody resumes it." in page


def test_the_next_mailings_are_shown_in_their_order(browser: Browser, api: Api) -> None:
    """Expects five, the soonest first, in the operator's zone, and a link to the others."""
    api.post("/api/clients", ClientBodyFactory())
    for hours in (7, 1, 3, 2, 6, 5, 4):
        body = MailingBodyFactory(text=f"in {hours}", starts_in=timedelta(hours=hours))
        assert api.post("/api/mailing", body).status == 201
    browser.cookies["zone"] = "Asia/Tokyo"
    page = now(browser)
    assert re.findall(r"(\d\d:\d\d) in (\d) h in (\d)", page) == [
        (f"{18 + hours}:00", str(hours), str(hours)) for hours in range(1, 6)
    ]
    assert "All 7 scheduled mailings" in page


def test_the_overview_costs_the_same_at_any_size(campaign: Campaign, on_call: Browser) -> None:
    """Expects a bounded number of reads, none of clients or messages, no scan, and no more for many mailings."""
    campaign.add_clients(12)
    for _ in range(14):
        campaign.order(rate_limit=1)
    campaign.simulation.run_for(4)
    aws = campaign.api.aws
    before = len(aws.calls)
    page = on_call.get(NOW).text
    calls = Counter(aws.calls[before:])
    assert page.count("status-running") == 10
    assert "4 more are running" in page
    assert not [name for name in calls if "Scan" in name or "Update" in name or "Put" in name]
    assert sum(count for name, count in calls.items() if name.startswith("dynamodb.")) <= 20
    assert sum(count for name, count in calls.items() if name.startswith("sqs.")) <= 6


def test_messages_that_were_sent_later_are_not_failed(campaign: Campaign, on_call: Browser) -> None:
    """Expects failed messages to leave the day's figures and the list as soon as they are retried and sent."""
    other = campaign.give_up(1, lasts=timedelta(hours=9))
    mailing_id = campaign.give_up(3, lasts=timedelta(hours=9))
    assert ("Sent today 16 Failed today 4" in now(on_call), dead(campaign)) == (True, 4)
    campaign.simulation.run_quietly_for(4000)  # in another hour
    assert campaign.api.post(f"/api/mailing/{mailing_id}/retry", {}).status == 200
    campaign.finish(mailing_id)
    assert ("Sent today 19 Failed today 1" in now(on_call), dead(campaign)) == (True, 1)
    hours = campaign.simulation.services.overviews.last_hours(24)
    assert sum(counts["failed"] for _, counts in hours) == 1
    letters = campaign.api.post("/api/dead-letters/redrive", {}).json
    assert letters["put_back"] == 1
    campaign.finish(other)
    assert ("Sent today 20 Failed today 0" in now(on_call), dead(campaign)) == (True, 0)


def dead(campaign: Campaign) -> int:
    """How many messages the list of failed ones has."""
    return int(campaign.simulation.services.queues["send-dead"].depths().visible)
