"""Messages: what follows from an attempt, when the next one is made, and the ids."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import NotFound
from chalicelib.domain.mailings import OnUnknown
from chalicelib.domain.messages import (
    Message,
    Outcome,
    RetryPolicy,
    Verdict,
    gateway_id_for,
    judge,
    message_id_for,
    parse_message_id,
    taken,
)
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.statuses import MessageStatus
from tests.factories import START, AttemptFactory, ClientFactory, MailingFactory, MessageFactory

POLICY = RetryPolicy(max_attempts=3, base=2.0, cap=60.0)
ACCEPTED, FAILED = AttemptFactory(), AttemptFactory(failed=True)
REFUSED, UNKNOWN = AttemptFactory(refused=True), AttemptFactory(unknown=True)


def verdict(*attempts: Any, forgiven: int = 0, on_unknown: OnUnknown = OnUnknown.RETRY) -> Verdict:
    return judge(attempts, forgiven, POLICY, on_unknown, random.Random(1))


# -- the verdict


@pytest.mark.parametrize("before", [(), (FAILED,), (UNKNOWN,), (FAILED,) * 9])
def test_an_accepted_attempt_is_the_end(before: tuple[Any, ...]) -> None:
    """Whatever came before it, and however often."""
    assert verdict(*before, ACCEPTED) == Verdict(MessageStatus.SENT)


def test_a_refused_message_is_not_tried_again() -> None:
    """It is unknown rather than failed where an attempt before may have been accepted; no dead letter either way."""
    assert verdict(REFUSED) == Verdict(MessageStatus.FAILED, Cause.http(400))
    assert verdict(UNKNOWN, REFUSED) == Verdict(MessageStatus.UNKNOWN, Cause.http(400))


def test_a_client_who_opted_out_at_the_gateway_is_skipped() -> None:
    """But if an earlier call may have been accepted, nobody knows."""
    stopped = AttemptFactory(outcome=Outcome.REFUSED, cause=Cause(Reason.OPTED_OUT_AT_GATEWAY))
    lost = AttemptFactory(outcome=Outcome.UNKNOWN)
    assert verdict(stopped) == Verdict(MessageStatus.SKIPPED, stopped.cause)
    assert verdict(lost, stopped) == Verdict(MessageStatus.UNKNOWN, stopped.cause)


@pytest.mark.parametrize(
    ("attempts", "count"),
    [("", 0), ("a", 1), ("u", 1), ("uu", 2), ("fur", 1), ("un", 1), ("unn", 0), ("unxn", 1), ("uxnn", 0), ("unnu", 1)],
)
def test_how_many_the_gateway_may_have_taken(attempts: str, count: int) -> None:
    """Not those of which it said twice in a row that it does not know the message."""
    outcomes = {"a": "accepted", "u": "unknown", "f": "failed", "r": "refused", "n": "missing", "x": "unclear"}
    assert taken([AttemptFactory(outcome=Outcome(outcomes[one])) for one in attempts]) == count


@pytest.mark.parametrize("attempt", [FAILED, UNKNOWN])
def test_what_may_pass_is_tried_again_after_a_while(attempt: Any) -> None:
    """The first time after 1 to 2 s, the second after 2 to 4."""
    first, second = verdict(attempt), verdict(FAILED, attempt)
    assert (first.status, first.cause) == (MessageStatus.QUEUED, attempt.cause)
    assert first.delay is not None
    assert 1 <= first.delay <= 2
    assert second.delay is not None
    assert 2 <= second.delay <= 4


def test_an_unknown_outcome_can_be_left_for_a_person() -> None:
    """Only the mailing that says so holds it, and a plain failure is still tried again."""
    assert verdict(UNKNOWN, on_unknown=OnUnknown.HOLD) == Verdict(MessageStatus.UNKNOWN, Cause(Reason.NO_ANSWER))
    assert verdict(FAILED, on_unknown=OnUnknown.HOLD).status is MessageStatus.QUEUED


def test_used_up_attempts_are_a_dead_letter() -> None:
    """With the last reason and the number; unknown where any attempt was."""
    assert verdict(FAILED, FAILED).status is MessageStatus.QUEUED
    assert verdict(FAILED, FAILED, FAILED) == Verdict(MessageStatus.FAILED, Cause.used_up(3, Cause.http(503)))
    assert verdict(UNKNOWN, FAILED, FAILED).status is MessageStatus.UNKNOWN
    assert verdict(UNKNOWN, FAILED, FAILED).cause == Cause.used_up(3, Cause.http(503))


def test_forgiven_attempts_do_not_count() -> None:
    """Three more tries after a message was put back, beginning with a short wait again."""
    waits = verdict(*[FAILED] * 4, forgiven=3)
    assert waits.delay is not None
    assert 1 <= waits.delay <= 2
    assert verdict(*[FAILED] * 5, forgiven=3).status is MessageStatus.QUEUED
    assert verdict(*[FAILED] * 6, forgiven=3).cause == Cause.used_up(6, Cause.http(503))
    assert verdict(UNKNOWN, *[FAILED] * 5, forgiven=3).status is MessageStatus.UNKNOWN


@given(st.integers(0, 2000), st.integers(0, 2**32), st.floats(0.01, 100), st.floats(0.01, 1000))
def test_a_delay_is_at_least_half_its_step_and_never_above_the_cap(
    made: int, seed: int, base: float, cap: float
) -> None:
    """So the attempts of a message span a known time in an outage."""
    step = min(cap, base * 2.0 ** min(made - 1, 1000) if made else base)
    delay = RetryPolicy(8, base, cap).delay(min(made, 1000), random.Random(seed))
    assert step / 2 <= delay <= step


def test_delays_differ() -> None:
    """Messages that failed together do not come back together."""
    rng = random.Random(1)
    delays = [POLICY.delay(10, rng) for _ in range(200)]
    assert min(delays) < 33
    assert max(delays) > 57


# -- the message


def test_a_change_makes_the_next_revision() -> None:
    """Everything else stays."""
    old: Message = MessageFactory(claim="a")
    new = old.revised(START + timedelta(seconds=1), status=MessageStatus.SENDING)
    assert (new.revision, new.status, new.updated_at) == (2, MessageStatus.SENDING, START + timedelta(seconds=1))
    assert (new.created_at, new.claim, new.message_id) == (START, "a", old.message_id)


@pytest.mark.parametrize(("seconds", "ms"), [(1.5, 1500), (-1, 0)])
def test_a_sender_that_died_has_made_an_unknown_attempt(seconds: float, ms: int) -> None:
    """It may have called the gateway between its claim and the end of its lease; clocks may differ."""
    message: Message = MessageFactory(attempts=(FAILED,), updated_at=START)
    attempts = message.with_lost_attempt(START + timedelta(seconds=seconds))
    assert attempts[0] == FAILED
    assert (attempts[1].outcome, attempts[1].at, attempts[1].duration_ms) == (Outcome.UNKNOWN, START, ms)
    assert len(attempts) == 2


def test_a_free_attempt_does_not_count() -> None:
    """A probe of a gateway in trouble is made at the gateway's expense."""
    message: Message = MessageFactory(attempts=(UNKNOWN,), forgiven=1)
    assert message.with_attempt(FAILED, free=False) == replace(message, attempts=(UNKNOWN, FAILED))
    assert message.with_attempt(FAILED, free=True) == replace(message, attempts=(UNKNOWN, FAILED), forgiven=2)


@pytest.mark.parametrize(
    ("before", "last", "dropped"),
    [
        ([FAILED] * 30, REFUSED, 1),
        ([FAILED, UNKNOWN, *[FAILED] * 28], FAILED, 2),
        ([UNKNOWN] * 30, FAILED, 1),
        ([UNKNOWN] * 30, ACCEPTED, 1),
        ([FAILED, *[UNKNOWN] * 29], FAILED, 1),
    ],
)
def test_of_very_many_attempts_the_first_and_the_last_are_kept(before: list[Any], last: Any, dropped: int) -> None:
    """And one that may have been accepted; a row must not grow for as long as an outage lasts. What counts stays."""
    message: Message = MessageFactory(attempts=tuple(before), forgiven=28)
    expected = [*before, last]
    del expected[dropped]
    new = message.with_attempt(last, free=True)
    assert new.attempts == tuple(expected)
    assert len(new.attempts) - new.forgiven == len(before) - 28


def test_attempts_that_count_are_all_kept() -> None:
    """Their number is what the limit is for."""
    message: Message = MessageFactory(attempts=(FAILED,) * 40)
    assert len(message.with_attempt(FAILED, free=False).attempts) == 41


def test_six_statuses_are_final() -> None:
    """Queued, sending and waiting messages are still to come."""
    final = {"sent", "failed", "unknown", "expired", "cancelled", "skipped"}
    assert {str(status) for status in MessageStatus if status.terminal} == final
    assert {str(status) for status in MessageStatus} - final == {"queued", "sending", "waiting"}


# -- ids


def test_a_message_id_can_be_read_back() -> None:
    """Into mailing and client, and so into the place in the ledger."""
    mailing_id, client = MailingFactory().mailing_id, ClientFactory()
    message_id = message_id_for(mailing_id, client.client_id)
    assert parse_message_id(message_id) == (mailing_id, client.client_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "x",
        "A" * 26,
        "a" * 16,
        "-" + "a" * 16,
        "A" * 26 + "-",
        "A" * 26 + "-" + "A" * 16,
        "A" * 26 + "_" + "a" * 16,
        "A" * 3000 + "-" + "a" * 16,
        "A" * 26 + "--" + "a" * 16,
        "A" * 26 + "-" + "a" * 16 + "\n",
    ],
)
def test_an_invalid_message_id_is_not_found(text: str) -> None:
    """No key is made of it."""
    with pytest.raises(NotFound):
        parse_message_id(text)


@pytest.mark.parametrize(
    ("message_id", "gateway_id"),
    [
        ("01KAR4C1AAAAAAAAAAAAAAAAAA-aaaaaaaaaaaaaaaa", 7_603_483_175_712_030_498),
        ("01KAR4C1AAAAAAAAAAAAAAAAAA-aaaaaaaaaaaaaaab", 8_992_372_955_149_289_773),
        ("", 5_682_424_973_585_327_841),
    ],
)
def test_the_gateways_id_never_changes(message_id: str, gateway_id: int) -> None:
    """Not between attempts, and not between releases: a gateway may recognise what it has had."""
    assert gateway_id_for(message_id) == gateway_id


@given(st.text())
def test_the_gateways_id_is_a_positive_integer_of_63_bits(message_id: str) -> None:
    """For whatever message."""
    assert 0 < gateway_id_for(message_id) < 2**63


def test_the_gateways_ids_use_all_63_bits() -> None:
    """In a million messages two share an id with a chance of one to eighteen million."""
    ids = [gateway_id_for(str(number)) for number in range(1000)]
    assert len(set(ids)) == 1000
    assert max(ids) > 2**62
    assert any(made % 2 for made in ids)
