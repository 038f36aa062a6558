"""Reasons: how they are stored, what older versions stored, and by how many different ones messages are counted."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from chalicelib.domain.mailing_counters import MailingCounters, counters_of
from chalicelib.domain.reasons import Cause, Reason, parse_with_words
from chalicelib.domain.statuses import MessageStatus
from tests.factories import MessageFactory

# Every sentence that a version up to November 2026 stored, and the reason it stands for.
OLD = {
    "opted out": Cause(Reason.OPTED_OUT),
    "the client was removed": Cause(Reason.CLIENT_REMOVED),
    "outside the local window": Cause(Reason.OUTSIDE_LOCAL_WINDOW),
    "the window closes before the local window opens": Cause(Reason.LOCAL_WINDOW_TOO_LATE),
    "the window closed first": Cause(Reason.WINDOW_CLOSED),
    "the mailing was cancelled": Cause(Reason.MAILING_CANCELLED),
    "not dispatched before the mailing ended": Cause(Reason.NOT_DISPATCHED),
    "the circuit is open": Cause(Reason.CIRCUIT_OPEN),
    "the rate": Cause(Reason.RATE_LIMIT),
    "put back by hand": Cause(Reason.PUT_BACK),
    "the end was moved": Cause(Reason.END_MOVED),
    "attempts used up (8), last: HTTP 503": Cause.used_up(8, Cause.http(503)),
    "attempts used up (3), last: no answer in time": Cause.used_up(3, Cause(Reason.NO_ANSWER)),
    "attempts used up (3), last: ": Cause.used_up(3, None),
    "HTTP 503": Cause.http(503),
    "HTTP 200 with code 7": Cause(Reason.GATEWAY_CODE, "7"),
    "HTTP 200 with code -3": Cause(Reason.GATEWAY_CODE, "-3"),
    "HTTP 200 with code ?": Cause(Reason.GATEWAY_CODE),
    "HTTP 200 with another code": Cause(Reason.GATEWAY_CODE),
    "HTTP 200 with an answer that makes no sense": Cause(Reason.ANSWER_UNCLEAR),
    "no usable answer": Cause(Reason.ANSWER_UNREADABLE),
    "no usable answer: DecodeError": Cause(Reason.ANSWER_UNREADABLE, "DecodeError"),
    "no answer in time": Cause(Reason.NO_ANSWER),
    "no connection to the gateway": Cause(Reason.NO_CONNECTION),
    "the connection broke before an answer": Cause(Reason.CONNECTION_BROKEN),
    "the sender stopped before it recorded an outcome": Cause(Reason.SENDER_STOPPED),
    "the gateway's adapter failed": Cause(Reason.ADAPTER_FAILED),
    "the gateway's adapter failed: KeyError": Cause(Reason.ADAPTER_FAILED, "KeyError"),
    "the gateway's address is none": Cause(Reason.GATEWAY_URL_INVALID),
    "the gateway's address does not begin with https://": Cause(Reason.GATEWAY_URL_NOT_HTTPS),
    "the gateway's host is not among GATEWAY_HOSTS": Cause(Reason.GATEWAY_HOST_NOT_ALLOWED),
    "the gateway's address is not public": Cause(Reason.GATEWAY_ADDRESS_PRIVATE),
    "the gateway's token is none that a header can hold": Cause(Reason.TOKEN_INVALID),
    "the secret with the gateway's token cannot be read": Cause(Reason.TOKEN_SECRET_UNREADABLE),
    "the secret with the gateway's token holds none that a header can carry": Cause(Reason.TOKEN_SECRET_INVALID),
    "another reason": Cause(Reason.OTHER),
}


@pytest.mark.parametrize(("sentence", "cause"), OLD.items())
def test_what_older_versions_stored_is_read(sentence: str, cause: Cause) -> None:
    """As the same reason that is stored by its code today."""
    assert Cause.parse(sentence) == cause == Cause.parse(str(cause))


@pytest.mark.parametrize("reason", Reason)
def test_a_code_is_short_and_has_nothing_that_ends_it(reason: Reason) -> None:
    """It stands in rows, counters' names, logs and answers."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", reason)
    assert len(reason) <= 24


@pytest.mark.parametrize(
    ("cause", "stored"),
    [
        (Cause(Reason.OPTED_OUT), "opted_out"),
        (Cause.http(503), "http:503"),
        (Cause(Reason.NOT_A_MESSAGE, "no hint: KeyError"), "not_a_message:no hint: KeyError"),
        (Cause.used_up(8, None), "attempts_used_up:8"),
        (Cause.used_up(8, Cause(Reason.NO_ANSWER)), "attempts_used_up:8:no_answer"),
        (Cause.used_up(8, Cause.http(503)), "attempts_used_up:8:http:503"),
    ],
)
def test_a_cause_is_stored_as_a_text_and_read_back(cause: Cause, stored: str) -> None:
    """With everything that belongs to it."""
    assert str(cause) == stored
    assert Cause.parse(stored) == cause


def test_what_nobody_knows_is_kept() -> None:
    """A sentence of a later version, say; and no text at all is no cause."""
    assert Cause.parse("a text that a gateway made up") == Cause(Reason.OTHER, "a text that a gateway made up")
    assert Cause.parse("from_the_future:7") == Cause(Reason.OTHER, "from_the_future:7")
    assert Cause.parse("attempts_used_up:many") == Cause(Reason.ATTEMPTS_USED_UP)
    assert Cause.parse("") is None


@pytest.mark.parametrize(
    ("sentence", "cause", "words"),
    [
        ("HTTP 402: Pay first: now", Cause.http(402), "Pay first: now"),
        ("HTTP 402", Cause.http(402), ""),
        ("no usable answer: DecodeError", Cause(Reason.ANSWER_UNREADABLE, "DecodeError"), ""),
        ("", None, ""),
        ("what nobody knows: x", Cause(Reason.OTHER, "what nobody knows: x"), ""),
    ],
)
def test_the_gateways_own_words_are_found_in_an_old_sentence(sentence: str, cause: Cause | None, words: str) -> None:
    """Older versions stored both as one text."""
    assert parse_with_words(sentence) == (cause, words)


@pytest.mark.parametrize(
    ("cause", "counted"),
    [
        (Cause(Reason.OPTED_OUT), Cause(Reason.OPTED_OUT)),
        (Cause.http(503), Cause.http(503)),
        (Cause.used_up(8, Cause.http(503)), Cause.http(503)),
        (Cause.used_up(8, Cause(Reason.NO_ANSWER)), Cause(Reason.NO_ANSWER)),
        (Cause.used_up(8, None), Cause(Reason.OTHER)),
        (Cause(Reason.GATEWAY_CODE, "7"), Cause(Reason.GATEWAY_CODE, "7")),
        (Cause(Reason.GATEWAY_CODE, "123456"), Cause(Reason.GATEWAY_CODE)),
        (Cause(Reason.GATEWAY_CODE), Cause(Reason.GATEWAY_CODE)),
        (Cause(Reason.ANSWER_UNREADABLE, "ChunkedEncodingError"), Cause(Reason.ANSWER_UNREADABLE)),
        (Cause(Reason.ADAPTER_FAILED, "ValueError"), Cause(Reason.ADAPTER_FAILED)),
        (Cause.http(999), Cause(Reason.OTHER)),
        (Cause(Reason.OTHER, "a text that a gateway made up"), Cause(Reason.OTHER)),
    ],
)
def test_messages_are_counted_by_a_bounded_number_of_causes(cause: Cause, counted: Cause) -> None:
    """Expects known reasons to stay, and everything that could take any value to be put together."""
    assert cause.counted == counted == counted.counted


def test_counters_of_both_ages_come_to_one_sum() -> None:
    """Two were counted by an older version, whose counter stays; one of them has been sent since, by this one."""
    (name,) = [
        name
        for name in counters_of(MessageFactory(status=MessageStatus.FAILED, cause=Cause.http(503)))
        if "reason" in name
    ]
    counters = Counter(
        {"reason|failed|HTTP 503": 2, name: -1, "reason|skipped|opted out": 1, "reason|skipped|opted_out": -1}
    )
    assert MailingCounters(counters).by_cause == {(MessageStatus.FAILED, Cause.http(503)): 1}


def test_the_log_has_the_code_by_itself() -> None:
    """So that it can be searched for, and all of the rest beside it."""
    assert Cause(Reason.OPTED_OUT).logged == {"reason": "opted_out"}
    assert Cause.used_up(8, Cause.http(503)).logged == {"reason": "attempts_used_up", "detail": "8:http:503"}
