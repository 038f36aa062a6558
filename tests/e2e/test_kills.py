"""Kill -9 of the emulator, of the senders and of everything at once during mailings: a small `make kills`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.kills import LEASE, VICTIMS, kills


@pytest.mark.long
@pytest.mark.proof
def test_kills_lose_nobody_and_repeat_no_call_without_need(tmp_path: Path) -> None:
    """The ledger is compared with the gateway's own log; what was claimed goes on when its claims end."""
    results = kills(tmp_path, moments=len(VICTIMS), count=300, seed=7)
    assert [(result.victim, result.wrong) for result in results] == [(victim, ()) for victim in VICTIMS]
    (senders,) = [result for result in results if result.victim == "senders"]
    assert senders.last_call < LEASE + 15
    assert senders.seconds < senders.last_call + 15  # it is not left to the tick to find that it is over
