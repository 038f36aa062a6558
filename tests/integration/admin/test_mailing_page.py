"""/admin/mailings/{id}: progress and result of a mailing, its recipients, and the retry of what failed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.gateways.base import Answer
from tests.support.api import Reply
from tests.support.browsing import Browser, text_of
from tests.support.campaign import OK, Campaign, new_campaign

REFUSED = Answer(Outcome.REFUSED, Cause.http(400), 400)
UNKNOWN = Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
NUMBER = re.compile(r"\+7\d{10}")


@pytest.fixture(scope="module")
def campaign() -> Iterator[Campaign]:
    """A service that sends, on a virtual clock, for all tests here: each has a tag of its own for its clients."""
    with new_campaign() as made:
        yield made


@pytest.fixture(scope="module")
def troubled(campaign: Campaign) -> str:
    """A finished mailing of ten: two refused, three of unknown outcome, one opted out, four sent; open for hours."""
    campaign.add_clients(1, tag="troubled", opted_out=True)
    answers: dict[int, Answer] = {}

    def script(gateway_id: int, nth: int) -> Answer:
        del nth
        return answers.setdefault(gateway_id, [REFUSED, REFUSED, UNKNOWN, UNKNOWN, UNKNOWN, OK][min(len(answers), 5)])

    campaign.simulation.gateway.script = script
    mailing_id = order(campaign, "troubled", 9, text="Hello <b>you</b>", on_unknown="hold")
    campaign.finish(mailing_id)
    campaign.simulation.gateway.script = lambda gateway_id, nth: OK
    return mailing_id


def order(campaign: Campaign, tag: str, count: int, **fields: Any) -> str:
    """A mailing to so many new clients with the tag, open for eight hours."""
    if count:
        campaign.add_clients(count, tag=tag)
    times = {"start_time": campaign.api.ago(seconds=1), "end_time": campaign.api.ahead(hours=8)}
    return campaign.order(**{"clients": {"tag": tag}, **times, **fields})


def rows(page: Reply) -> list[str]:
    """What the rows of the ledger say."""
    table = page.text.partition('id="ledger"')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    return [re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", row)).strip() for row in table.split("</tr>")[:-1]]


def test_the_page_of_a_finished_mailing_has_its_results(campaign: Campaign, on_call: Browser, troubled: str) -> None:
    """Expects counts, reasons, chart and history; the text escaped; all clients by their numbers."""
    page = on_call.get(f"/admin/mailings/{troubled}")
    text = text_of(page)
    for told in (
        "finished",
        "sent 4",
        "failed 2",
        "unknown 3",
        "skipped 1",
        "failed: HTTP 400 2",
        "skipped: opted out 1",
    ):
        assert told in text
    assert "unknown: no answer in time 3" in text
    assert "Per minute sent 4 failed 2 unknown 3" in text
    for event in ("Created admin", "Started", "First message sent", "Last message sent", "Finished"):
        assert re.search(rf"2 Mar 2026, \d\d:\d\d:\d\d {event}", text), event
    assert f'href="/admin/system?mailing={troubled}"' in page.text
    assert "$" not in text
    assert "<b>you" not in page.text
    assert len(set(NUMBER.findall(page.text))) == 10


def test_a_mailing_is_shown_as_ordered_in_the_operators_zone(campaign: Campaign, on_call: Browser) -> None:
    """Expects window, hours, segment, rate and choices of a mailing that waits, and how many people match."""
    hours = {"from": "09:00", "until": "21:00", "policy": "skip"}
    fields = {"rate_limit": 30, "local_window": hours, "on_unknown": "hold", "late": "skip"}
    start, end = "2026-05-02T09:00:00Z", "2026-05-02T19:00:00Z"
    segment = {"tag": ["new", "old"], "operator": "916"}
    mailing_id = order(campaign, "", 0, start_time=start, end_time=end, clients=segment, **fields)
    on_call.post("/admin/preferences", {"zone": "Asia/Tokyo"})
    text = text_of(on_call.get(f"/admin/mailings/{mailing_id}"))
    assert "scheduled starts on 2 May 2026, 18:00" in text
    assert "Sending window 2 May 2026, 18:00 until 3 May 2026, 04:00 Asia/Tokyo Tags new old Operators 916" in text
    assert re.search("09:00.21:00, others get no message", text)
    assert "Rate 30 messages per second If a result is unknown do not retry If the start is missed do not start" in text
    assert "2 May 2026, 18:00 Starts 3 May 2026, 04:00 Ends:" in text
    assert "No recipients yet. When the mailing starts" in text


@pytest.mark.parametrize(
    ("steps", "offered"),
    [
        ((), ["edit", "launch", "pause", "cancel", "delete"]),
        (("pause",), ["edit", "cancel", "delete", "resume"]),
        (("cancel",), ["delete"]),
    ],
)
def test_only_possible_actions_are_offered(
    steps: tuple[str, ...], offered: list[str], campaign: Campaign, on_call: Browser
) -> None:
    """Expects the questions that the mailing's state allows."""
    mailing_id = order(campaign, "steered", 1, start_time=campaign.api.ahead(hours=5))
    for step in steps:
        assert campaign.api.post(f"/api/mailing/{mailing_id}/{step}").status == 200
    page = on_call.get(f"/admin/mailings/{mailing_id}").text
    actions = re.findall(rf'href="/admin/mailings/{mailing_id}/([a-z]+)"', page)
    assert [one for one in actions if one not in ("find", "export")] == offered


def test_a_running_mailing_is_followed_until_it_ends(campaign: Campaign, on_call: Browser) -> None:
    """Expects everything that changes in one part, with one time, the page of recipients too; at the end it stops."""
    mailing_id = order(campaign, "followed", 40, rate_limit=1)
    campaign.simulation.run_for(20)
    path = f"/admin/mailings/{mailing_id}"
    page = on_call.get(f"{path}?status=sent&limit=3")
    asked = re.search(r'hx-get="([^"]*/now[^"]*)"', page.text)
    assert asked
    assert "Latest message sent" in text_of(page)
    assert page.text.count("Updated ") == 1
    again = asked[1].replace("&amp;", "&")
    part = on_call.get(again, headers={"HX-Request": "true"})
    assert "<html" not in part.text
    assert re.search(r"<strong>1\d</strong>", part.text)
    assert set(re.findall(r'id="([a-z]+)"[^>]* hx-swap-oob="true"', part.text)) == {"sending", "results", "people"}
    assert (part.text.count("Updated "), part.text.count('class="phone"')) == (1, 3)
    campaign.finish(mailing_id)
    part = on_call.get(again, headers={"HX-Request": "true"})
    assert f'hx-get="{path}' not in part.text
    assert "Finished" in part.text


def test_recipients_appear_when_the_mailing_starts(campaign: Campaign, on_call: Browser) -> None:
    """Expects the whole section with its filter instead of the words that there are none yet."""
    mailing_id = order(
        campaign, "soon", 2, start_time=campaign.api.ahead(minutes=5), end_time=campaign.api.ahead(hours=5)
    )
    page = on_call.get(f"/admin/mailings/{mailing_id}")
    assert "No recipients yet." in text_of(page)
    campaign.finish(mailing_id)
    asked = re.search(r'hx-get="([^"]*/now[^"]*)"', page.text)
    assert asked
    part = on_call.get(asked[1].replace("&amp;", "&"), headers={"HX-Request": "true"}).text
    assert re.search(r'<section id="recipients"[^>]* hx-swap-oob="true"', part)
    assert part.count('class="phone"') == 2
    assert part.count("hx-swap-oob") == 3


def test_the_history_has_pauses_and_retries(campaign: Campaign, on_call: Browser) -> None:
    """Expects each change of state once, in order."""
    mailing_id = order(campaign, "paused", 8, rate_limit=1)
    campaign.simulation.gateway.script = lambda gateway_id, nth: REFUSED
    campaign.simulation.run_for(2)
    for step in ("pause", "resume"):
        assert campaign.api.post(f"/api/mailing/{mailing_id}/{step}").status == 200
        campaign.simulation.run_for(2)
    campaign.finish(mailing_id)
    campaign.simulation.gateway.script = lambda gateway_id, nth: OK
    campaign.api.post(f"/api/mailing/{mailing_id}/retry", {})
    campaign.finish(mailing_id)
    steps = (
        text_of(on_call.get(f"/admin/mailings/{mailing_id}")).partition("History")[2].partition("Mailing details")[0]
    )
    told = re.findall(r"Created|Started|Paused|Resumed|Finished|Reopened", steps)
    assert told == ["Created", "Started", "Paused", "Resumed", "Finished", "Reopened", "Finished"]


def test_the_recipients_are_filtered_by_status(on_call: Browser, troubled: str) -> None:
    """Expects the rows of that status with their reason, links to the messages, and counts beside the choices."""
    page = on_call.get(f"/admin/mailings/{troubled}?status=failed")
    assert len(rows(page)) == 2
    assert all(re.fullmatch(r"\+7\d{10} failed 2 Mar 2026, \S+ 1 HTTP 400", row) for row in rows(page))
    assert len(re.findall(rf'href="/admin/messages/{troubled}-', page.text)) == 2
    assert '<option value="failed" selected>failed (2)</option>' in page.text
    assert len(rows(on_call.get(f"/admin/mailings/{troubled}?status="))) == 10
    assert "No recipients have this status." in text_of(on_call.get(f"/admin/mailings/{troubled}?status=expired"))


def test_the_recipients_have_pages(on_call: Browser, troubled: str) -> None:
    """Expects every row once, and the filter to be kept."""
    seen: list[str] = []
    path = f"/admin/mailings/{troubled}?status=unknown&limit=2"
    while path:
        page = on_call.get(path)
        seen += re.findall(r'href="/admin/messages/([^"]+)"', page.text)
        following = re.search(r'rel="next" href="([^"#]+)', page.text)
        path = f"{following[1]}&limit=2".replace("&amp;", "&") if following else ""
    assert len(seen) == len(set(seen)) == 3


def test_one_person_is_found_by_number_or_id(campaign: Campaign, on_call: Browser, troubled: str) -> None:
    """Expects the message's page, however the number is written, and no number in any address."""
    message = campaign.api.get("/api/messages", query={"mailing": troubled, "limit": 1}).json["rows"][0]
    path = f"/admin/mailings/{troubled}/find"
    on_call.get(f"/admin/mailings/{troubled}")
    number = message["phone_number"]
    for sought in (number, f" 8 ({number[2:5]}) {number[5:8]}-{number[8:]} ", message["client"], message["id"]):
        answer = on_call.post(path, {"sought": sought}, follow=False)
        assert answer.headers["location"] == f"/admin/messages/{message['id']}"


@pytest.mark.parametrize(
    ("sought", "told"),
    [
        ("+79990000000", "does not belong to a recipient of this mailing"),
        ("Mr. Smith", "is neither a phone number such as +79161234567 nor an ID"),
        ("", "is neither a phone number"),
    ],
)
def test_a_person_who_is_not_found_is_reported_beside_the_field(
    sought: str, told: str, on_call: Browser, troubled: str
) -> None:
    """Expects the page again with what was typed."""
    page = on_call.post(f"/admin/mailings/{troubled}/find", {"sought": sought})
    assert page.status == 422
    assert re.search(rf'id="field-sought-error">{re.escape(told)}', page.text)
    assert f'name="sought" type="text" value="{sought}"' in page.text


def test_the_recipients_are_exported_as_the_api_does(campaign: Campaign, on_call: Browser, troubled: str) -> None:
    """Expects all pages together to be the API's file, at a path for this session."""
    whole, path = "", f"/admin/mailings/{troubled}/export?limit=4"
    while path:
        page = on_call.get(path)
        assert page.headers["content-type"].startswith("text/csv")
        whole += page.text
        path = (re.search(r"<(\S+)>", page.headers.get("link", "")) or ["", ""])[1]
    assert whole == campaign.api.get("/api/messages/export", query={"mailing": troubled}).text
    assert whole.count("\n") == 11


def test_a_retry_asks_first_and_says_how_many(on_call: Browser, troubled: str) -> None:
    """Expects the number of failed messages, and those of unknown outcome only after a choice with a warning."""
    text = text_of(on_call.get(f"/admin/mailings/{troubled}"))
    assert "4 of 10 people got it. 3 did not, mostly because: HTTP 400. Of 3 it is not known. You can retry" in text
    question = text_of(on_call.get(f"/admin/mailings/{troubled}/retry"))
    assert "Retry 2 messages?" in question
    assert "Also retry 3 messages that may have been sent The gateway may have sent them" in question


def test_only_failed_messages_are_retried(campaign: Campaign, on_call: Browser) -> None:
    """Expects the failed ones first; then, only by choice, those whose outcome is unknown."""
    answers = iter([REFUSED, UNKNOWN, OK])
    campaign.simulation.gateway.script = lambda gateway_id, nth: next(answers)
    mailing_id = order(campaign, "again", 3, on_unknown="hold")
    campaign.finish(mailing_id)
    campaign.simulation.gateway.script = lambda gateway_id, nth: OK
    path = f"/admin/mailings/{mailing_id}"
    for fields, sent in (({}, 2), ({"unknown": "true"}, 3)):
        on_call.get(f"{path}/retry")
        assert "1 message is being retried." in text_of(on_call.post(f"{path}/retry", fields))
        campaign.finish(mailing_id)
        assert campaign.api.get(f"/api/mailing/{mailing_id}").json["counts"]["sent"] == sent
    assert "Retry" not in text_of(on_call.get(path))


def test_a_retry_of_unknown_ones_only_has_to_be_chosen(campaign: Campaign, on_call: Browser) -> None:
    """Expects the question again if only messages of unknown outcome are left and were not chosen."""
    campaign.simulation.gateway.script = lambda gateway_id, nth: UNKNOWN
    mailing_id = order(campaign, "doubtful", 1, on_unknown="hold")
    campaign.finish(mailing_id)
    campaign.simulation.gateway.script = lambda gateway_id, nth: OK
    on_call.get(f"/admin/mailings/{mailing_id}/retry")
    page = on_call.post(f"/admin/mailings/{mailing_id}/retry")
    assert page.status == 422
    assert "check this box to retry: no other messages have failed" in text_of(page)


def test_a_mailing_whose_window_has_closed_cannot_be_retried(campaign: Campaign, on_call: Browser) -> None:
    """Expects no offer, and an answer that says why if it is requested anyway."""
    campaign.simulation.gateway.script = lambda gateway_id, nth: REFUSED
    mailing_id = order(campaign, "closed", 1, end_time=campaign.api.ahead(minutes=2))
    campaign.finish(mailing_id)
    campaign.simulation.gateway.script = lambda gateway_id, nth: OK
    campaign.simulation.run_for(180)
    assert "Retry" not in text_of(on_call.get(f"/admin/mailings/{mailing_id}"))
    page = on_call.post(f"/admin/mailings/{mailing_id}/retry")
    assert page.status == 409
    assert "the end of this mailing has passed" in text_of(page)


def test_a_mailing_that_does_not_exist_is_not_found(on_call: Browser) -> None:
    """Expects 404 for every page and part of it."""
    for path in ("", "/now", "/retry"):
        assert on_call.get(f"/admin/mailings/{'0' * 26}{path}").status == 404
    assert on_call.post(f"/admin/mailings/{'0' * 26}/find", {"sought": "+79161234567"}).status == 404


def test_why_a_mailing_was_paused_automatically_is_in_its_history(campaign: Campaign, on_call: Browser) -> None:
    """Expects the reason on the mailing's page, in its full history, and in the API's."""
    campaign.simulation.services.prices().put({0: ("7", "2.5", "RUB", "")}, "tester")
    campaign.simulation.add_clients(8)
    mailing_id = campaign.order(clients={}, budget="10.00")
    campaign.simulation.run_for(60)
    assert "Paused automatically: the budget is used up" in text_of(on_call.get(f"/admin/mailings/{mailing_id}"))
    assert "the budget is used up" in text_of(on_call.get(f"/admin/history/{mailing_id}"))
    events = campaign.api.get(f"/api/history/{mailing_id}").json["events"]
    assert [one["paused_for"] for one in events if one["status"] in ("running", "paused")] == [None, "budget"]


def test_all_texts_of_a_mailing_are_shown_as_on_a_phone(campaign: Campaign, on_call: Browser) -> None:
    """Expects a bubble for each language, escaped, and the share of people who got it as one large number."""
    texts = {"de": "Hallo <b>du</b>", "ru": "Привет"}
    mailing_id = campaign.send(4, text="Hello", texts=texts)
    page = on_call.get(f"/admin/mailings/{mailing_id}").text
    assert re.findall(r'class="bubble" dir="auto">([^<]*)<', page) == ["Hello", "Hallo &lt;b&gt;du&lt;/b&gt;", "Привет"]
    assert '<p class="figure"><strong>100&nbsp;%</strong></p>' in page
