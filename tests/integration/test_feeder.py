"""The feeder reads only mailings that have something to feed."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.domain.mailings import Mailing
from chalicelib.queues import Hint, Unit, UnitKind
from tests.support.aws import Call
from tests.support.simulation import Simulation, new_simulation

IDLE = 10


def hinted(simulation: Simulation, mailing: Mailing) -> int:
    """How many messages of a mailing the send queue holds."""
    hints = [Hint.parse(message["body"]) for message in simulation.queue(simulation.settings.send_queue)]
    return sum(len(hint.client_ids) for hint in hints if hint.mailing_id == mailing.mailing_id)


def test_a_mailing_with_nothing_to_feed_is_not_read() -> None:
    """Expects only the tick to read mailings that wait for local hours, while another one is fed."""
    with new_simulation() as simulation:
        simulation.add_clients(40)
        window = LocalWindow.parse("20:00", "21:00", WindowPolicy.DEFER)
        idle = [simulation.create_mailing(lasts=86_400, local_window=window).mailing_id.encode() for _ in range(IDLE)]
        simulation.run_for(180)
        reads: list[str] = []

        def before(call: Call) -> None:
            task = simulation.scheduler.current
            if task and not task.name.startswith("tick") and any(one in call.body for one in idle):
                reads.append(call.operation)
            simulation.scheduler.io_point()

        simulation.aws.before = before
        mailing = simulation.create_mailing(rate_limit=1)
        simulation.run_for(30)
        assert 25 <= len(simulation.gateway.log) <= 32
        assert reads == []
        simulation.run_until_finished(mailing)


def test_a_mailing_is_named_to_the_running_feeder() -> None:
    """Expects a resumed mailing to be fed within a second, though the feeder is busy with another one."""
    with new_simulation(workers_of={"dispatcher": 3}) as simulation:
        simulation.add_clients(300)
        simulation.create_mailing(rate_limit=1)
        other = simulation.create_mailing()
        simulation.run_for(10)
        simulation.services.mailing_actions.pause(other.mailing_id)
        simulation.queue(simulation.settings.send_queue).clear()
        simulation.run_for(10)
        assert hinted(simulation, other) == 0
        simulation.services.mailing_actions.resume(other.mailing_id)
        simulation.run_for(1)
        assert hinted(simulation, other) == 300


def test_a_mailing_that_is_named_while_the_feeder_ends_is_not_forgotten() -> None:
    """Expects another feeder for it if its name is noted between the last look at the names and the end."""
    with new_simulation(workers_of={}) as simulation:
        simulation.add_clients(1)
        mailing = simulation.create_mailing()
        simulation.bodies(simulation.settings.dispatch_queue)
        feeder = simulation.services.feeder
        named: list[Call] = []

        def before(call: Call) -> None:
            if not named and b"leases" in call.body and b"REMOVE" in call.body:  # it gives its lease back
                named.append(call)
                feeder._list.add([mailing.mailing_id])

        simulation.aws.before = before
        feeder.feed(Unit(UnitKind.FEED, mailing_ids=("gone",)), simulation.clock.now() + timedelta(minutes=2))
        assert len(named) == 1
        left = [Unit.parse(body) for body in simulation.bodies(simulation.settings.dispatch_queue)]
        assert left == [Unit(UnitKind.FEED, mailing_ids=(mailing.mailing_id,))]


def test_a_feeder_that_lost_its_lease_passes_its_mailings_on() -> None:
    """Expects its mailing to be named to the feeder that got the lease while a call took too long."""
    with new_simulation(workers_of={}) as simulation:
        simulation.add_clients(300)
        mailing = simulation.create_mailing(rate_limit=1)
        simulation.workers.start({"dispatcher": 3})
        simulation.run_for(5)
        for task in simulation.scheduler.tasks:
            simulation.scheduler.freeze(task)
        simulation.run_for(30)
        feeder = simulation.services.feeder
        slow: list[Call] = []

        def before(call: Call) -> None:
            if not slow and b"-ledger" in call.body:
                slow.append(call)
                simulation.clock.sleep(25)
                now = simulation.clock.now()
                assert feeder._leases.acquire("feeder", "another", now, now + timedelta(seconds=20))

        simulation.aws.before = before
        feeder.feed(
            Unit(UnitKind.FEED, mailing_ids=(mailing.mailing_id,)), simulation.clock.now() + timedelta(minutes=2)
        )
        assert len(slow) == 1
        assert feeder._list.take() == [mailing.mailing_id]
