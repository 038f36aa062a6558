"""The end of a simulation: everything works again, and nobody interferes any more."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.errors import ServiceError
from chalicelib.domain.mailings import Mailing
from tests.simulation.promises import Witness


def go_on(witness: Witness) -> None:
    """Resume what was paused."""
    for promised in witness.mailings.values():
        try:
            witness.simulation.services.mailing_actions.resume(promised.mailing.mailing_id)
            promised.go_on(witness.simulation.clock.now())
        except ServiceError:
            continue


def let_all_end(witness: Witness) -> None:
    """Let time pass until every window has closed; the tick alone has to find and repair what is broken."""
    simulation = witness.simulation
    going = list(witness.mailings)
    last = max((promised.mailing.end_at for promised in witness.mailings.values()), default=simulation.clock.now())
    limit = max(last, simulation.clock.now()) + timedelta(minutes=45)

    def ended() -> bool:
        while going and _is_over(simulation.services.mailings.get(going[-1])):
            going.pop()
        return not going

    if not simulation.scheduler.run_until(simulation.clock.now() + timedelta(minutes=20), ended, check=500):
        simulation.workers.tick_after = 600.0
        simulation.scheduler.run_until(limit, ended, check=500)
        simulation.workers.tick_after = 0.001
    simulation.run_for(30)


def _is_over(mailing: Mailing) -> bool:
    status = mailing.status
    return status == "expired" or bool(mailing.final) or (status == "cancelled" and not mailing.launched_at)
