"""The result of a mailing in one look: from its counters, and what would help."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from chalicelib.domain.deliveries import Deliveries, DeliveryStatus
from chalicelib.domain.mailing_counters import MailingCounters
from chalicelib.domain.mailings import MailingState, Statistics
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.results import Result, result_of
from chalicelib.domain.statuses import MailingStatus
from tests.factories import START, MailingFactory

LATER = START + timedelta(hours=2)


def result(counters: dict[str, int], total: int = 10, told: Deliveries | None = None, **fields: object) -> Result:
    """The result of a mailing that may send until an hour from START."""
    given = {"status": MailingStatus.FINISHED, "launched_at": START, "end_at": START + timedelta(hours=1)}
    given["final"] = tuple((name, count) for name, count in counters.items() if "|" not in name)
    mailing = MailingFactory(**{**given, **fields})
    counters = MailingCounters(Counter(counters))
    at = LATER if fields.get("end_at") is None else START
    return result_of(MailingState(mailing, statistics=Statistics(total, counters.by_status, True)), counters, at, told)


@pytest.mark.parametrize(
    ("counters", "status", "standing", "helps"),
    [
        ({"sent": 10}, "finished", "reached", None),
        ({"sent": 9, "skipped": 1}, "finished", "reached", None),
        ({"sent": 9, "failed": 1}, "finished", "partly", "missed"),
        ({"sent": 9, "unknown": 1}, "finished", "partly", None),
        ({"expired": 10}, "finished", "nobody", "missed"),
        ({"sent": 4, "cancelled": 6}, "cancelled", "stopped", "missed"),
        ({"sent": 4}, "running", "running", None),
        ({"sent": 4}, "paused", "paused", "resume"),
    ],
)
def test_a_mailing_stands_as_those_do_whom_it_is_for(
    counters: dict[str, int], status: str, standing: str, helps: str | None
) -> None:
    """Expects one word for the colour, and the one action that helps."""
    found = result(counters, status=MailingStatus(status))
    assert (found.standing, found.help) == (standing, helps)
    assert found.got + found.missed + found.unknown + found.open == found.total == 10


def test_what_failed_can_be_retried_while_there_is_time() -> None:
    """Expects a retry before the end, and after it a mailing to those who got nothing."""
    assert result({"sent": 9, "failed": 1}, end_at=LATER).help == "retry"
    assert result({"sent": 9, "unknown": 1}, end_at=LATER).help == "retry"
    assert result({"sent": 10}, end_at=LATER).help is None


def test_the_cause_is_that_of_most_of_those_who_missed_it() -> None:
    """Expects the number that it holds for, and none if it is not known or nobody missed it."""
    counters = {"sent": 4, "failed": 5, "skipped": 1, "reason|failed|http:500": 5, "reason|skipped|opted_out": 1}
    found = result(counters)
    assert (found.cause, found.because_of_it, found.missed) == (Cause.http(500), 5, 6)
    assert result({"sent": 9, "failed": 1}).cause is None
    waits = f"reason|waiting|{Reason.RATE_LIMIT}"
    assert result({"sent": 4, "waiting": 6, waits: 6}, status=MailingStatus.RUNNING).cause is None


def test_one_that_has_not_begun_has_no_result() -> None:
    """Expects it to be ahead, whatever its status."""
    assert result({}, 0, status=MailingStatus.SCHEDULED, launched_at=None).standing == "ahead"
    assert result({}, 0, status=MailingStatus.EXPIRED, launched_at=None).standing == "stopped"


@pytest.mark.parametrize(
    ("undelivered", "counters", "standing", "cause"),
    [
        (0, {"sent": 10}, "reached", None),
        (3, {"sent": 10}, "partly", (Reason.NOT_DELIVERED, 3)),
        (10, {"sent": 10}, "nobody", (Reason.NOT_DELIVERED, 10)),
        (1, {"sent": 8, "failed": 2, "reason|failed|http:500": 2}, "partly", (Reason.HTTP, 2)),
    ],
)
def test_people_to_whom_it_was_sent_but_not_delivered_missed_it(
    undelivered: int, counters: dict[str, int], standing: str, cause: tuple[Reason, int] | None
) -> None:
    """Expects what receipts have told to count, and to be the cause if it is that of most."""
    by_status = {DeliveryStatus.DELIVERED: counters["sent"] - undelivered, DeliveryStatus.UNDELIVERED: undelivered}
    told = Deliveries(counters["sent"], {**dict.fromkeys(DeliveryStatus, 0), **by_status}, {}, {}, 0, {})
    found = result(counters, told=told)
    assert (found.standing, found.got) == (standing, counters["sent"] - undelivered)
    assert (found.cause and (found.cause.reason, found.because_of_it)) == cause
    assert found.got + found.missed + found.unknown + found.open == found.total
