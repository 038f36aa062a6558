"""Replies come in while a mailing runs: twice, forged, from strangers, in floods."""

from __future__ import annotations

import random
from contextlib import ExitStack
from unittest import mock

import pytest

from chalicelib.services.receiving import replies
from tests.simulation.replies import FLOOD, MOST_IN_A_FLOOD, People
from tests.support.simulation import new_simulation

WORKERS = {"tick": 1, "dispatcher": 3, "sender": 2, "receiver": 2}


@pytest.mark.parametrize("floods", [False, True])
def test_replies_are_kept_once_while_a_mailing_runs(floods: bool) -> None:
    """Expects none lost below the limit, none twice, and messages as they would be without any reply."""
    rng = random.Random(1)
    with ExitStack() as stack:
        simulation = stack.enter_context(
            new_simulation(1, WORKERS, gateway_receipts=True, public_url="https://service.example")
        )
        if floods:
            stack.enter_context(mock.patch.object(replies, "MOST_A_MINUTE", MOST_IN_A_FLOOD))
        people = People(simulation, rng, floods=floods)
        clients = simulation.add_clients(12)
        mailing = simulation.create_mailing(rate_limit=2)
        while simulation.services.mailings.get(mailing.mailing_id).status != "finished":
            simulation.run_for(0.5)
            rows = simulation.rows(mailing)
            people.write(rows[:3])
            people.tell_again()
            people.write_as_a_stranger(rows[:1])
            people.forge(rows[:2])
            if floods:
                people.flood()
        simulation.run_for(30)
        people.check()
        kept = simulation.services.replies().total()
        assert kept > MOST_IN_A_FLOOD / 2
        assert not floods or kept < FLOOD
        assert {(row.status, row.delivery) for row in simulation.rows(mailing)} == {("sent", None)}
        assert [simulation.services.clients.get(one.client_id) for one in clients] == clients
