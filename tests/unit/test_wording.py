"""The texts of reasons, as API, e-mails and terminal have them."""

from __future__ import annotations

import pytest

from chalicelib.domain.reasons import Cause, Reason
from chalicelib.wording import DETAILED, REASONS, circuit_text, reason_text


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_text_of_its_own(reason: Reason) -> None:
    """With and without what belongs to it, so that a row which lacks that is shown as well."""
    assert [text for text in REASONS.values() if text == REASONS[reason]] == [REASONS[reason]]
    assert "%" not in reason_text(Cause(reason))
    assert "%" not in reason_text(Cause(reason, "7", Cause(Reason.NO_ANSWER)))


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (None, ""),
        (Cause(Reason.OPTED_OUT), "opted out"),
        (Cause.http(503), "HTTP 503"),
        (Cause(Reason.GATEWAY_CODE, "7"), "HTTP 200 with code 7"),
        (Cause(Reason.GATEWAY_CODE), "HTTP 200 with another code"),
        (Cause.used_up(8, Cause.http(503)), "all attempts failed (8), last: HTTP 503"),
        (Cause.used_up(8, None), "all attempts failed (8), last: another reason"),
        (Cause(Reason.ADAPTER_FAILED, "KeyError"), "the gateway adapter failed: KeyError"),
        (Cause(Reason.OTHER), "another reason"),
        (Cause(Reason.OTHER, "100 % of what nobody knows"), "100 % of what nobody knows"),
    ],
)
def test_what_belongs_to_a_reason_is_in_its_text(cause: Cause | None, text: str) -> None:
    """And a sentence that nobody knows any more is told as it is."""
    assert reason_text(cause) == text


def test_a_text_is_translated_before_its_places_are_filled() -> None:
    """The sentences are the keys; a value is no part of them."""
    asked: list[str] = []

    def noted(text: str) -> str:
        asked.append(text)
        return text.upper().replace("(DETAIL)S", "(detail)s").replace("(LAST)S", "(last)s")

    assert reason_text(Cause.used_up(8, Cause.http(503)), noted) == "ALL ATTEMPTS FAILED (8), LAST: HTTP 503"
    assert set(asked) == {DETAILED[Reason.ATTEMPTS_USED_UP], DETAILED[Reason.HTTP]}


def test_the_circuits_text_ends_with_the_gateways_own_words() -> None:
    """Or is what an operator said."""
    assert circuit_text(Cause.http(402), "Pay first") == "HTTP 402: Pay first"
    assert circuit_text(Cause.http(402), "") == "HTTP 402"
    assert circuit_text(None, "a new gateway") == "a new gateway"
    assert circuit_text(None, "") == ""
