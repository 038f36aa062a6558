"""/admin/system: queues, workers, gateways and what mailings cost on AWS, all at the same moment."""

from __future__ import annotations

import re

from tests.support.api import Api
from tests.support.browsing import Browser, text_of
from tests.support.campaign import Campaign

NOW = "/admin/system/now"


def now(browser: Browser, query: str = "") -> str:
    """The text of the part that refreshes, in one line."""
    page = browser.get(NOW + query, headers={"HX-Request": "true"}).text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def test_the_depths_of_queues_are_shown(browser: Browser, api: Api) -> None:
    """Expects available, delayed and in-flight messages of each queue."""
    for name, count in (("send", 3), ("dispatch", 1)):
        api.services.queues[name].send(["{}"] * count)
    api.services.queues["send"].send(["{}"] * 2, delay=60)
    api.services.queues["send"].receive(1, 60)
    for page in (now(browser), text_of(browser.get("/admin/system"))):
        assert "waiting to be sent to the gateway. 2 2 1 " in page
        assert "and their recipients. 1 0 0 " in page


def test_the_part_that_refreshes_is_not_a_whole_page(browser: Browser) -> None:
    """Expects everything that changes in it, with one time, and no call of the queues but for their depths."""
    before = len(browser.api.aws.calls)
    part = browser.get(NOW, headers={"HX-Request": "true"}).text
    assert part.count("<html") == 0
    assert part.count("Updated ") == 1
    assert part.count('id="sending"') == 1
    asked = [call for call in browser.api.aws.calls[before:] if call.startswith("sqs.")]
    assert set(asked) <= {"sqs.GetQueueUrl", "sqs.GetQueueAttributes"}
    assert 'hx-get="/admin/system/now"' in browser.get("/admin/system").text


def test_the_newest_mailings_are_listed_with_their_cost(campaign: Campaign, on_call: Browser) -> None:
    """Expects dollars for those that have started, by name, and nothing for a scheduled one."""
    campaign.send(10)
    campaign.order(name="To come", start_time=campaign.api.ahead(hours=2), end_time=campaign.api.ahead(hours=9))
    page = now(on_call)
    assert re.search(r" 10 \$0\.000\d \$0\.000\d \$0\.0\d+ ", page), page
    assert "To come" not in page


def test_the_cost_of_one_mailing_can_be_shown(campaign: Campaign, on_call: Browser) -> None:
    """Expects only the mailing that was asked for, also after a refresh."""
    campaign.send(3, text="the first")
    other = campaign.send(3, text="the other")
    page = on_call.get(f"/admin/system?mailing={other}")
    assert "the first" not in page.text
    assert "the other" in page.text
    assert f'hx-get="/admin/system/now?mailing={other}"' in page.text
    assert "the first" not in now(on_call, f"?mailing={other}")


def test_the_cost_of_a_mailing_that_does_not_exist_is_an_error(campaign: Campaign, on_call: Browser) -> None:
    """Expects 404 for an unknown id, 422 for another field, and dashes for a mailing that has not started."""
    assert on_call.get("/admin/system?mailing=%22%3Cscript").status == 404
    assert on_call.get("/admin/system?another=1").status == 422
    mailing = campaign.order(start_time=campaign.api.ahead(hours=2), end_time=campaign.api.ahead(hours=9))
    assert re.search(" 0 . . . At list prices", now(on_call, f"?mailing={mailing}"))


def test_gateways_and_workers_are_shown(campaign: Campaign, on_call: Browser) -> None:
    """Expects who was last seen when, the limits that people set, and since when sending is paused."""
    campaign.send(2)
    assert campaign.api.patch("/api/gateway", {"rate": 70}).status == 200
    campaign.api.post("/api/gateway/hold", {"reason": "maintenance"})
    page = now(on_call)
    assert re.search(r"The message sender 2 Mar 2026, \d\d:\d\d:\d\d", page)
    assert re.search(r"paused by hand 2 Mar 2026, \d\d:\d\d:\d\d . 0 70 . ", page), page
