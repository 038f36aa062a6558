"""/metrics: Prometheus gets the same numbers as people, at the same cost at any size."""

from __future__ import annotations

import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chalicelib.api.exposition import FAMILIES
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.domain.statuses import MailingStatus
from chalicelib.gateways.base import Answer
from chalicelib.services.gauges import LOOKED_AT
from tests.factories import MailingFactory
from tests.support.api import Api
from tests.support.campaign import Campaign
from tests.support.programs import program

Series = dict[tuple[str, ...], float]


def scrape(api: Api) -> dict[str, Series]:
    """Every exported series by the name of its samples, and by the values of its labels."""
    reply = api.get("/metrics")
    assert reply.status == 200, reply.text
    found: dict[str, Series] = {}
    for family in text_string_to_metric_families(reply.text):
        for sample in family.samples:
            name = sample.name.removeprefix("message_service_")
            found.setdefault(name, {})[tuple(sample.labels.values())] = sample.value
    return found


def gauge(api: Api, name: str) -> float:
    """The value of a metric without labels."""
    return scrape(api)[name][()]


def counted(series: Series) -> dict[str, float]:
    """The values other than 0, by the first label."""
    return {labels[0]: value for labels, value in series.items() if value}


@pytest.fixture
def troubled(campaign: Campaign) -> Campaign:
    """Eight messages sent, one refused and one whose attempts are used up; one client opted out; one mailing to
    come."""
    answers = {0: Answer(Outcome.REFUSED, Cause.http(400), 400), 1: Answer(Outcome.FAILED, Cause.http(503), 503)}
    order: dict[int, int] = {}
    campaign.simulation.gateway.script = lambda gateway_id, nth: answers.get(
        order.setdefault(gateway_id, len(order)), Answer(Outcome.ACCEPTED)
    )
    campaign.add_clients(1, opted_out=True)
    campaign.send(10)
    campaign.order(start_time=campaign.api.ahead(hours=1), end_time=campaign.api.ahead(hours=2))
    return campaign


@pytest.mark.parametrize("of", ["api", "troubled"])
def test_promtool_finds_nothing_wrong(request: pytest.FixtureRequest, of: str) -> None:
    """In an empty service, and in one that has worked."""
    service = request.getfixturevalue(of)
    text = getattr(service, "api", service).get("/metrics").text
    done = subprocess.run([program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_is_in_the_exposition_format(api: Api) -> None:
    """Expects the content type that Prometheus asks for, and no caching."""
    reply = api.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"


def test_it_needs_a_token_of_the_service(api: Api) -> None:
    """Expects either role's token to work, and no metrics without one."""
    assert api.get("/metrics", token="").status == 401
    assert {api.get("/metrics", token=secret).status for secret in api.secrets.values()} == {200}


def test_every_family_is_exported_with_its_type_and_labels(troubled: Campaign) -> None:
    """Expects exactly those on the list."""
    text = troubled.api.get("/metrics").text
    found = {}
    for family in text_string_to_metric_families(text):
        labels = {tuple(label for label in sample.labels if label != "le") for sample in family.samples}
        found[family.name.removeprefix("message_service_")] = (family.type, family.documentation, labels)
    wanted = {one.name.removesuffix("_total"): (one.kind, one.about, {one.labels}) for one in FAMILIES}
    assert found == wanted


def test_mailings_and_messages_are_those_of_the_statistics(troubled: Campaign) -> None:
    """By status, whatever happened to them."""
    overview = troubled.api.get("/api/mailing/stats").json
    found = scrape(troubled.api)
    assert counted(found["mailings"]) == {"finished": 1, "scheduled": 1}
    messages = {status: count for status, count in overview["messages"].items() if count and status != "total"}
    assert counted(found["messages"]) == messages == {"sent": 8, "failed": 2, "skipped": 1}
    assert found["clients"] == {(): 11}


def test_calls_of_the_gateway_are_counted(troubled: Campaign) -> None:
    """By outcome, and as a histogram of their duration."""
    found = scrape(troubled.api)
    log = troubled.simulation.gateway.log
    assert counted(found["gateway_calls_total"]) == {"accepted": 8, "refused": 1, "failed": 3}
    assert found["gateway_call_duration_seconds_count"] == {(): len(log)} == {(): 12}
    assert found["gateway_call_duration_seconds_sum"][()] == pytest.approx(12 * 0.02)
    buckets = {bound: count for (bound,), count in found["gateway_call_duration_seconds_bucket"].items()}
    assert (buckets["0.01"], buckets["0.025"], buckets["+Inf"]) == (0, 12, 12)


def test_messages_are_counted_while_they_are_sent(campaign: Campaign) -> None:
    """Those of a running mailing as well as those of a finished one."""
    campaign.send(5)
    second = campaign.order()
    campaign.simulation.scheduler.run_until(
        campaign.simulation.clock.now().replace(year=2027), lambda: len(campaign.simulation.gateway.log) >= 7
    )
    assert campaign.api.get(f"/api/mailing/{second}").json["status"] == "running"
    overview = campaign.api.get("/api/mailing/stats").json["messages"]
    messages = scrape(campaign.api)["messages"]
    assert sum(messages.values()) == overview["total"] > 5
    assert messages[("sent",)] == overview["sent"] >= 5


def test_a_mailing_that_should_have_started_is_overdue(api: Api) -> None:
    """Expects the seconds since its start while nothing launches it; 0 if the next start is still to come."""
    times = {"start_time": api.ahead(minutes=10), "end_time": api.ahead(hours=1)}
    assert api.post("/api/mailing", {"text": "Hello", "clients": {}, **times}).status == 201
    assert gauge(api, "overdue_seconds") == 0
    api.pass_time(minutes=12)
    assert gauge(api, "overdue_seconds") == 120


def test_queues_and_dead_letters_are_counted(troubled: Campaign) -> None:
    """Available, delayed and in-flight messages."""
    troubled.simulation.services.queues["dispatch"].send(["{}"], delay=600)
    depths = scrape(troubled.api)["queue_messages"]
    assert depths[("send-dead", "visible")] == 1
    assert depths[("dispatch", "delayed")] == 1
    assert len(depths) == 18


def test_the_circuit_and_the_rate_are_exported(api: Api) -> None:
    """Expects the one present state, and 0 for no limit."""
    assert counted(scrape(api)["gateway_circuit"]) == {"closed": 1}
    assert gauge(api, "gateway_rate_limit") == 0
    api.patch("/api/gateway", {"rate": 50})
    api.post("/api/gateway/hold", {})
    assert counted(scrape(api)["gateway_circuit"]) == {"held": 1}
    assert gauge(api, "gateway_rate_limit") == 50


def _run(api: Api, count: int) -> None:
    """Create so many running mailings, none of which has a message."""
    repository = api.services.gauges._mailings
    for _ in range(count):
        mailing: Mailing = MailingFactory(status=MailingStatus.RUNNING, launched_at=api.clock.now())
        repository.create(mailing)


def test_it_reads_no_more_if_there_is_more(api: Api) -> None:
    """Expects 50 mailings under way to be read, and the number of the others to be exported."""
    api.get("/metrics")  # looks up the queues, once
    _run(api, LOOKED_AT)
    calls: list[int] = []
    for _ in range(2):
        api.aws.calls.clear()
        left_out = gauge(api, "uncounted_mailings")
        calls.append(len(api.aws.calls))
        assert "dynamodb.Scan" not in api.aws.calls
        _run(api, 10)
    assert left_out == 10
    assert calls[0] == calls[1] <= LOOKED_AT + 20
