"""What an older version wrote as a sentence is read as a reason."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain.gateway_control import GatewayChange, GatewayControl, Setting
from chalicelib.domain.reasons import Cause, Reason
from tests.factories import START
from tests.integration.storage.engines import Store

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("by", "sentence", "cause", "words"),
    [
        ("", "HTTP 402: Pay first", Cause.http(402), "Pay first"),
        ("", "no answer in time", Cause(Reason.NO_ANSWER), ""),
        ("anna", "no answer in time", None, "no answer in time"),
        ("", "", None, ""),
    ],
)
def test_the_state_of_an_old_circuit_is_read_as_cause_and_words(
    store: Store, by: str, sentence: str, cause: Cause | None, words: str
) -> None:
    """An operator's words are their own, and no sentence of the service."""
    old = GatewayControl(retry_at=START + SECOND, revision=1, changed_by=by, changed_at=START, reason=sentence)
    assert store.control.change(GatewayControl(), old)
    control = store.control.read()
    assert (control.cause, control.reason) == (cause, words)
    change = GatewayChange(START, by, Setting.CIRCUIT, "closed", "open", words, cause)
    assert store.control.changes("", 10) == ([change], "")
