"""What a page costs: calls of AWS, whose number does not grow with clients or messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib import admin
from tests.factories import ClientBodyFactory
from tests.support.browsing import Browser
from tests.support.campaign import Campaign, new_campaign

PATTERNS = [
    route.path
    for pages in admin.PAGES
    for route in pages.routes
    if route.method == "GET" and not any(part in route.path for part in ("/static/", "/login", "{proxy+}"))
]
# Milliseconds on AWS: a call takes about 4. A page may take 100.
MOST_CALLS = 25


class Filled:
    """A service with clients, a finished and a scheduled mailing to them, and a way to open its pages."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.browser = Browser(campaign.api)
        self.browser.sign_in()
        self.grow(20)
        mailing = campaign.order(clients={"tag": "many"})
        campaign.finish(mailing)
        campaign.order(
            clients={"tag": "many"}, start_time=campaign.api.ahead(hours=1), end_time=campaign.api.ahead(hours=9)
        )
        (message,) = campaign.api.get("/api/messages", query={"mailing": mailing, "limit": 1}).json["rows"]
        file = b"phone_number\nnobody\n"
        imported = campaign.api.post("/api/clients/imports", raw=file, headers={"Content-Type": "text/csv"}).json
        template = campaign.api.post("/api/templates", {"name": "Greeting", "text": "Hello"}).json
        segment = campaign.api.post("/api/segments", {"name": "All", "clients": {}}).json
        self.parameters = {
            "template_id": template["id"],
            "segment_id": segment["id"],
            "client_id": message["client"],
            "mailing_id": mailing,
            "message_id": message["id"],
            "about": mailing,
            "import_id": imported["id"],
            "username": "admin",
            "token_id": campaign.api.get("/api/users/me/tokens").json["rows"][0]["token_id"],
        }

    def grow(self, count: int) -> None:
        for _ in range(count):
            assert self.campaign.api.post("/api/clients", ClientBodyFactory(tag="many")).status == 201

    def calls(self, pattern: str) -> list[str]:
        """The calls of AWS for a page."""
        made = self.campaign.simulation.aws.calls
        made.clear()
        page = self.browser.get(pattern.format(**self.parameters), follow=False)
        assert page.status in (200, 303), page.text
        return list(made)


@pytest.fixture(scope="module")
def filled() -> Iterator[Filled]:
    """Made once, since the pages change nothing."""
    with new_campaign() as campaign:
        yield Filled(campaign)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_page_makes_few_calls(filled: Filled, pattern: str) -> None:
    """Expects no more calls than take 100 ms on AWS one after the other, and no scan of a table."""
    calls = filled.calls(pattern)
    assert len(calls) <= MOST_CALLS, calls
    assert not [call for call in calls if call.endswith("Scan")]


def test_the_calls_do_not_grow_with_the_clients(filled: Filled) -> None:
    """Expects every page to make the same calls after there are four times as many clients."""
    before = {pattern: len(filled.calls(pattern)) for pattern in PATTERNS}
    filled.grow(60)
    after = {pattern: len(filled.calls(pattern)) for pattern in PATTERNS}
    grown = {pattern: (before[pattern], after[pattern]) for pattern in PATTERNS if after[pattern] > before[pattern]}
    assert grown == {}
