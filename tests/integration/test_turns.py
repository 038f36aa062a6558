"""A launch does not wait until other mailings are expanded, although all of that is in one queue."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.domain import buckets
from chalicelib.services.dispatching import expansion
from tests.support.aws import Call
from tests.support.simulation import new_simulation


def test_a_launch_does_not_wait_for_expansions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects a small mailing to begin within seconds while two large ones keep all dispatchers busy for a minute."""
    monkeypatch.setattr(expansion, "FIRST_PAGE", 2)
    monkeypatch.setattr(expansion, "PAGE", 2)
    monkeypatch.setattr(buckets, "SMALL", 100)  # so that the large ones have all shards
    with new_simulation(workers_of={"tick": 1, "dispatcher": 20, "sender": 4}) as simulation:

        def before(call: Call) -> None:
            if b'"contacts_by_tag"' in call.body and b"few" not in call.body:
                simulation.clock.sleep(0.8)
            simulation.scheduler.io_point()

        simulation.add_clients(500)
        simulation.add_clients(1, tag="few")
        simulation.aws.before = before
        large = [simulation.create_mailing() for _ in range(2)]
        simulation.run_for(10)
        small = simulation.create_mailing(tag="few")
        simulation.run_for(4)
        launched_at = simulation.services.mailings.get(small.mailing_id).launched_at
        assert launched_at is not None
        assert launched_at - small.created_at <= timedelta(seconds=3)
        assert not any(simulation.services.mailings.state(one.mailing_id).statistics.dispatched for one in large)
        monkeypatch.setattr(expansion, "PAGE", 100)  # what is left may go quickly
        simulation.aws.before = lambda call: simulation.scheduler.io_point()
        for one in large:
            simulation.run_until_finished(one)
        assert len(simulation.gateway.log) == len(simulation.gateway.calls()) == 2 * 500 + 1
