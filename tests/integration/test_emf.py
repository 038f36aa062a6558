"""CloudWatch metrics: every function writes them in the embedded metric format, and what they say is what happened."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from typing import Any

import jsonschema
import pytest

from chalicelib.observability import (
    BATCH_SIZE,
    GATEWAY_LATENCY,
    MAILINGS_CREATED,
    MESSAGES_PARKED,
    MESSAGES_SENT,
    METRICS,
    NAMESPACE,
    invocation,
    measure,
)
from tests.support.emf import check, emitted, records
from tests.support.full_run import FullRun, captured, full_run

pytestmark = pytest.mark.xdist_group("package")  # tests/contract/test_monitoring.py looks at the same run

ENDS = ("sent", "failed", "unknown", "expired", "cancelled", "skipped")


@pytest.fixture(scope="module")
def run() -> FullRun:
    """A run in which every function works and messages come to every end."""
    return full_run()


def _sums(log: str) -> Counter[str]:
    sums: Counter[str] = Counter()
    for one in emitted(log):
        sums[one.name] += sum(one.values)  # type: ignore[assignment]
    return sums


def test_every_record_is_valid_for_cloudwatch(run: FullRun) -> None:
    """Expects records as the format's specification has them, whichever function wrote them."""
    found = records(run.log)
    assert len(found) > 50
    for record in found:
        check(record)
        assert record["_aws"]["CloudWatchMetrics"][0]["Namespace"] == NAMESPACE


@pytest.mark.parametrize(
    "broken",
    [
        {"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "N", "Dimensions": [["a"]], "Metrics": []}]}},
        {"_aws": {"Timestamp": "now", "CloudWatchMetrics": []}},
        {
            "_aws": {
                "Timestamp": 1,
                "CloudWatchMetrics": [{"Namespace": "N", "Dimensions": [["a"]], "Metrics": [{"Name": "M"}]}],
            },
            "a": "b",
            "M": list(range(101)),
        },
    ],
)
def test_the_check_finds_records_that_cloudwatch_would_drop(broken: dict[str, Any]) -> None:
    """Without metrics, without a time, and with more values than a record may have."""
    with pytest.raises(jsonschema.ValidationError):
        check(broken)


def test_every_metric_of_the_list_is_emitted_with_its_unit_and_no_other(run: FullRun) -> None:
    """Expects the list to be complete: dashboards and alarms are made from it."""
    found = {(one.name, one.unit) for one in emitted(run.log)}
    assert found == {(metric.name, metric.unit) for metric in METRICS}


def test_dimensions_are_few_and_never_an_id(run: FullRun) -> None:
    """Expects only the values that a metric's entry in the list has: each further one costs money."""
    values: defaultdict[str, set[tuple[tuple[str, str], ...]]] = defaultdict(set)
    for one in emitted(run.log):
        assert one.service == "message-service"
        values[one.name].add(one.dimensions)
    for metric in METRICS:
        known = {((metric.dimension, value),) for value in metric.values} or {()}
        assert values[metric.name] <= known
    assert values[MESSAGES_PARKED.name] == {(("reason", value),) for value in MESSAGES_PARKED.values}
    assert sum(map(len, values.values())) <= 40


def test_messages_are_counted_once_by_their_final_status(run: FullRun) -> None:
    """Expects the sums over all functions to equal the statistics, which agree with the ledger."""
    sums = _sums(run.log)
    assert {name: sums[f"Messages{name.title()}"] for name in ENDS} == {name: run.statuses[name] for name in ENDS}
    assert all(run.statuses[name] for name in ENDS)
    assert sums["MessagesCreated"] == run.statuses["total"]
    assert sums["MailingsCreated"] == len(run.mailings)


def test_each_call_of_the_gateway_has_its_latency(run: FullRun) -> None:
    """Expects every value, so that CloudWatch can compute percentiles."""
    values = [value for one in emitted(run.log) if one.name == GATEWAY_LATENCY.name for value in one.values]
    assert values == [20.0] * run.calls


def test_an_invocation_writes_each_set_of_dimensions_once() -> None:
    """Counts are added up, other values kept."""
    with captured() as text:
        with invocation("sender", "request"):
            for number in range(5):
                measure(MESSAGES_SENT)
                measure(GATEWAY_LATENCY, number)
            measure(MESSAGES_PARKED, of="rate_limit")
            assert text.getvalue() == ""
        assert len(text.getvalue().splitlines()) == 2
    found = {(one.name, one.values) for one in emitted(text.getvalue())}
    assert found == {("MessagesSent", (5,)), ("GatewayLatency", (0, 1, 2, 3, 4)), ("MessagesParked", (1,))}


def test_too_many_values_are_divided_among_records() -> None:
    """Expects all of them, each once."""
    with captured() as text, invocation("sender", "request"):
        for number in range(250):
            measure(GATEWAY_LATENCY, number)
    values = [value for one in emitted(text.getvalue()) for value in one.values]
    assert values == list(range(250))
    assert len(records(text.getvalue())) == 3


def test_invocations_at_the_same_time_keep_their_metrics_apart() -> None:
    """In threads of one process, as the local environment runs them."""
    both = threading.Barrier(2)

    def work(size: int) -> None:
        with invocation("sender", f"request {size}"):
            both.wait(10)
            measure(BATCH_SIZE, size)
            measure(MESSAGES_SENT, size)
            both.wait(10)

    with captured() as text:
        threads = [threading.Thread(target=work, args=(size,)) for size in (10, 20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = sorted((record["BatchSize"], record["MessagesSent"]) for record in records(text.getvalue()))
    assert found == [([10], [10]), ([20], [20])]


def test_nothing_is_written_without_measurements_or_if_it_is_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is noted outside an invocation."""
    with captured() as text:
        measure(MAILINGS_CREATED)
        with invocation("sender", "request"):
            pass
        monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
        with invocation("sender", "request"):
            measure(MAILINGS_CREATED)
    assert text.getvalue() == ""


def test_a_dimensions_value_that_is_not_listed_is_refused() -> None:
    """It would be one more metric to pay for."""
    with captured(), invocation("sender", "request"), pytest.raises(ValueError, match="knows no reason"):
        measure(MESSAGES_PARKED, of="01KJPWD6M08HQWXGN3V08Q7SBR")


def test_the_dimension_service_is_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that each stage in an account has metrics of its own."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "message-service-prod")
    with captured() as text, invocation("sender", "request"):
        measure(MAILINGS_CREATED)
    assert [one.service for one in emitted(text.getvalue())] == ["message-service-prod"]
