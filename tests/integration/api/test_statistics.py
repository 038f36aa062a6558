"""/api/mailing/stats/ and /api/mailing/{id}/stats/: they agree with the ledger, and read no row of it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import pytest

from chalicelib.domain.mailing_counters import LATELY
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.sms import part_count
from chalicelib.domain.statuses import MailingStatus
from chalicelib.gateways.base import Answer
from chalicelib.storage.mailing_rows import running_counters_of
from chalicelib.wording import reason_text
from tests.factories import START
from tests.support.api import Api
from tests.support.campaign import Campaign
from tests.support.kept_state import set_up

pytestmark = pytest.mark.xdist_group("statistics")  # so that the mailing with trouble is sent once

REFUSED, LOST = Answer(Outcome.REFUSED, Cause.http(400), 400), Answer(Outcome.UNKNOWN, Cause(Reason.NO_ANSWER))
ACCEPTED = Answer(Outcome.ACCEPTED)


@pytest.fixture
def troubled(campaign: Campaign) -> str:
    """A finished mailing with sent, refused, unknown and skipped messages; it is sent once for all tests."""
    mailing_id, ended_at = set_up("statistics of a mailing with trouble", lambda: _with_trouble(campaign))
    campaign.simulation.clock.move_to(ended_at)
    campaign.simulation.scheduler.wake_idle()
    return mailing_id


def _with_trouble(campaign: Campaign) -> tuple[str, datetime]:
    """The id of such a mailing, and when it ended."""
    places: dict[int, int] = {}  # ids are drawn; which message gets which answer is not

    def script(gateway_id: int, nth: int) -> Answer:
        place = places.setdefault(gateway_id, len(places))
        if place % 5 == 0:
            return REFUSED
        return LOST if place % 17 == 1 else ACCEPTED

    campaign.simulation.gateway.script = script
    campaign.add_clients(4, opted_out=True)
    campaign.add_clients(60)
    mailing_id = campaign.order(on_unknown="hold", rate_limit=20)  # so that sending takes time, whatever the ids are
    campaign.finish(mailing_id)
    campaign.simulation.gateway.script = lambda gateway_id, nth: ACCEPTED
    return mailing_id, campaign.simulation.clock.now()


def _ledger(campaign: Campaign, mailing_id: str) -> list:
    return campaign.simulation.rows(campaign.simulation.services.mailings.get(mailing_id))


def _stats(api: Api, mailing_id: str) -> dict:
    reply = api.get(f"/api/mailing/{mailing_id}/stats/")
    assert reply.status == 200, reply.text
    return reply.json


def _reasons(stats: dict) -> Counter:
    return Counter({(one["status"], one["reason"]): one["count"] for one in stats["by_reason"]})


def test_statistics_of_a_finished_mailing_equal_a_recount(campaign: Campaign, troubled: str) -> None:
    """Expects status, reason, hour, first and last sent as the rows of the ledger have them."""
    rows, stats = _ledger(campaign, troubled), _stats(campaign.api, troubled)
    statuses = Counter(str(row.status) for row in rows)
    assert {name: count for name, count in stats["by_status"].items() if count} == {**statuses, "total": len(rows)}
    assert _reasons(stats) == Counter((str(row.status), reason_text(row.cause)) for row in rows if row.status != "sent")
    assert {reason for _, reason in _reasons(stats)} == {"HTTP 400", "no answer in time", "opted out"}
    sent = sorted(row.sent_at for row in rows if row.sent_at)
    assert [stats["first_sent_at"], stats["last_sent_at"]] == [
        moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") for moment in (sent[0], sent[-1])
    ]
    assert stats["rate"] == round((len(sent) - 1) / (sent[-1] - sent[0]).total_seconds(), 3)


def test_running_counters_equal_the_recount(campaign: Campaign, troubled: str) -> None:
    """Expects this of the counters that senders and dispatch keep, reasons and hours included."""
    mailings = campaign.simulation.services.mailings._mailings
    running = running_counters_of(mailings._parts(troubled)).by_name
    lately = [name for name in running if name.startswith(LATELY)]
    assert sum(running.pop(name) for name in lately) > 0  # the rate of now is nothing that stays
    assert +running == mailings.detail(troubled)[1].by_name


def test_messages_are_counted_by_the_hour(campaign: Campaign) -> None:
    """Expects a mailing over two hours to have both, with the right sum."""
    campaign.add_clients(60)
    mailing_id = campaign.order(starts_in=timedelta(minutes=59, seconds=30), rate_limit=1)
    campaign.finish(mailing_id, limit=7200)
    stats = _stats(campaign.api, mailing_id)
    assert [one["hour"] for one in stats["by_hour"]] == ["2026-03-02T09:00:00.000Z", "2026-03-02T10:00:00.000Z"]
    assert sum(one["sent"] for one in stats["by_hour"]) == 60
    assert 0 < stats["rate"] <= 1.1


def test_statistics_follow_a_running_mailing(campaign: Campaign) -> None:
    """Expects what was sent so far, and the rest as queued or waiting."""
    campaign.add_clients(50)
    mailing_id = campaign.order(rate_limit=1)
    campaign.simulation.run_for(20)
    stats = _stats(campaign.api, mailing_id)
    counts = stats["by_status"]
    assert 2 <= counts["sent"] <= 25
    assert counts["total"] == 50 == sum(count for name, count in counts.items() if name != "total")
    assert sum(one["sent"] for one in stats["by_hour"]) == counts["sent"]
    assert "2026-03-02T09:00:00" < stats["first_sent_at"] <= stats["last_sent_at"] < "2026-03-02T09:00:21"


def test_a_retried_mailing_is_counted_again(campaign: Campaign, troubled: str) -> None:
    """Expects the reasons of failed messages to be gone once they were sent after all."""
    failed = _stats(campaign.api, troubled)["by_status"]["failed"]
    assert failed
    assert campaign.api.post(f"/api/mailing/{troubled}/retry", {"unknown": True}).status == 200
    campaign.finish(troubled)
    stats = _stats(campaign.api, troubled)
    assert _reasons(stats) == {("skipped", "opted out"): 4}
    assert stats["by_status"]["sent"] == 60
    assert sum(one["sent"] for one in stats["by_hour"]) == 60


def test_the_overview_groups_all_mailings_by_status(campaign: Campaign, troubled: str) -> None:
    """Expects every status: ended, running, waiting and cancelled ones alike."""
    api = campaign.api
    scheduled = campaign.order(starts_in=timedelta(days=1), lasts=timedelta(days=1))
    cancelled, running = (campaign.order(rate_limit=1, lasts=timedelta(hours=5)) for _ in range(2))
    campaign.simulation.run_for(10)
    api.post(f"/api/mailing/{cancelled}/cancel")
    campaign.simulation.run_for(20)
    overview = api.get("/api/mailing/stats/").json
    by_status = {one["status"]: one for one in overview["by_status"]}
    assert overview["total"] == 4
    once = {"scheduled", "running", "finished", "cancelled"}
    assert {status: one["mailings"] for status, one in by_status.items()} == {
        str(status): int(status in once) for status in MailingStatus
    }
    for status, mailing_id in (("finished", troubled), ("running", running), ("cancelled", cancelled)):
        assert by_status[status]["messages"] == _stats(api, mailing_id)["by_status"]
    assert by_status["scheduled"]["messages"]["total"] == 0
    assert overview["messages"]["total"] == 3 * 64
    api.delete(f"/api/mailing/{troubled}")
    api.delete(f"/api/mailing/{scheduled}")
    overview = api.get("/api/mailing/stats/").json
    assert (overview["total"], overview["messages"]["total"]) == (2, 2 * 64)


def test_a_lying_gateway_does_not_multiply_the_counters(campaign: Campaign) -> None:
    """Expects answers with ever different codes to count as one reason."""
    codes = iter(range(1000, 100000))
    campaign.simulation.gateway.script = lambda gateway_id, nth: Answer(
        Outcome.REFUSED, Cause(Reason.GATEWAY_CODE, str(next(codes))), 200
    )
    stats = _stats(campaign.api, campaign.send(30))
    assert _reasons(stats) == {("failed", "HTTP 200 with another code"): 30}


def test_statistics_read_no_rows(campaign: Campaign) -> None:
    """Expects neither a scan nor a read of the ledger, and as many calls for many messages as for few."""
    few, many = campaign.send(1), campaign.send(80)
    campaign.api.get("/api/mailing/stats")  # the first look finds that there are no totals of an earlier version
    costs = []
    for mailing_id in (few, many):
        calls: list[tuple[str, bool]] = []
        campaign.simulation.aws.before = lambda call, calls=calls: calls.append(
            (call.operation, b"local-ledger" in call.body)
        )
        _stats(campaign.api, mailing_id)
        campaign.api.get("/api/mailing/stats")
        costs.append(calls)
    assert costs[0] == costs[1]
    assert not any("Scan" in operation or of_ledger for operation, of_ledger in costs[0])


def test_statistics_of_an_unknown_mailing_are_not_found(api: Api) -> None:
    """Expects 404, and an overview of zeros in an empty service."""
    assert api.get("/api/mailing/01KJPWD6M099CBF4EZDBRXGRED/stats").status == 404
    assert api.get("/api/mailing/1/stats").status == 404
    overview = api.get("/api/mailing/stats").json
    assert (overview["total"], overview["messages"]["total"], len(overview["by_status"])) == (0, 0, len(MailingStatus))


@pytest.mark.parametrize("text", ["{{words}}", "x" * 161])
def test_sms_parts_are_those_of_sent_texts(campaign: Campaign, text: str) -> None:
    """Expects what the gateway was given and accepted, before and after the recount, by day."""
    for number, length in enumerate((10, 160, 161, 1000)):
        campaign.add_clients(1, attributes={"words": "y" * length}, tag="vip", phone_number=f"+7916000000{number}")
    campaign.add_clients(2)  # who get nothing of a personal text
    mailing_id = campaign.order(text=text)
    assert _stats(campaign.api, mailing_id)["sms_parts"] == 0
    campaign.finish(mailing_id)
    stats = _stats(campaign.api, mailing_id)
    given = sum(part_count(call.text) for call in campaign.simulation.gateway.log)
    assert given == (1 + 1 + 2 + 7 if text == "{{words}}" else 2 * 6)
    assert stats["sms_parts"] == given
    assert stats["sms_parts_by_day"] == [{"day": START.date().isoformat(), "parts": given}]
    state, counters = campaign.simulation.services.mailings._mailings.detail(mailing_id)
    running = running_counters_of(campaign.simulation.services.mailings._mailings._parts(mailing_id))
    assert running.parts_by_day(None) == counters.parts_by_day(None)
    assert state.mailing.final


def test_the_result_is_returned_as_values(campaign: Campaign, troubled: str) -> None:
    """Expects people that add up, the main reason for a missing message, what helps, and the present rate while it
    runs."""
    result = _stats(campaign.api, troubled)["result"]
    counted = [result[name] for name in ("got", "missed", "unknown", "open")]
    assert (sum(counted), result["open"], result["standing"]) == (result["total"], 0, "partly")
    assert (result["reason_code"], result["help"]) in {("http", "retry"), ("opted_out", "retry")}
    campaign.add_clients(30, tag="slow")
    mailing_id = campaign.order(clients={"tag": "slow"}, rate_limit=1)
    campaign.simulation.run_for(15)
    stats = _stats(campaign.api, mailing_id)
    assert stats["result"]["standing"] == "running"
    assert stats["rate"] == pytest.approx(0.9, abs=0.2)
    assert stats["seconds_left"] == pytest.approx(stats["result"]["open"] / stats["rate"], abs=1)
