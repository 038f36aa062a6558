"""Errors: each has a code and the values that belong to it, and its sentence follows from them."""

from __future__ import annotations

import re

import pytest

from chalicelib.domain.errors import Conflict, FieldError, Invalid, NotReady, TooManyRequests, Unavailable
from chalicelib.domain.faults import Fault


@pytest.mark.parametrize("fault", Fault)
def test_a_sentence_is_made_of_its_values(fault: Fault) -> None:
    """Whatever they hold, also what looks like a place; they come in their places and nothing else is left of these."""
    names = re.findall(r"%\((\w+)\)s", fault.value)
    sentence = fault.sentence(dict.fromkeys(names, "100 %(x)s"))
    assert sentence.count("100 %(x)s") == len(names)
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", fault.code)


def test_an_error_has_its_code_and_its_sentence() -> None:
    """The code for programs, the sentence for people."""
    error = Conflict(Fault.MAILING_NOT_DELETABLE, status="running")
    assert (error.fault.code, dict(error.values)) == ("mailing_not_deletable", {"status": "running"})
    assert str(error) == "this mailing is running; cancel it before you delete it"
    assert TooManyRequests(Fault.TOO_MANY_SIGN_INS, 7).retry_after == 7


def test_an_invalid_names_every_field() -> None:
    """And is by itself what the first of them is."""
    error = Invalid(FieldError("tag", Fault.TOO_LONG, {"most": 64}), FieldError("zone", Fault.TIME_ZONE))
    assert str(error) == (
        "tag: must have at most 64 characters; zone: must be an IANA time zone, such as Europe/Moscow"
    )
    assert (error.fault, dict(error.values)) == (Fault.TOO_LONG, {"most": 64})


def test_a_service_that_does_not_answer_is_logged_as_it_is() -> None:
    """It has no sentence of its own: nobody else hears of it."""
    assert str(Unavailable("settings: ConnectTimeoutError")) == "settings: ConnectTimeoutError"
    assert str(NotReady("tables", "queue send")) == "no answer in time from: tables, queue send"
    assert Unavailable("x").fault is Fault.AS_TOLD
