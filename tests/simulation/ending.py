"""The end of a simulation: everything works again, and nobody helps any more."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.domain.errors import ServiceError
from chalicelib.domain.mailings import Mailing
from tests.simulation.promises import Witness


def go_on(witness: Witness) -> None:
    """Resume what was paused."""
    for promised in witness.mailings.values():
        try:
            witness.world.services.mailings.resume(promised.mailing.mailing_id)
            promised.go_on(witness.world.clock.now())
        except ServiceError:
            continue


def let_all_end(witness: Witness) -> None:
    """The tick alone has to find and mend what is broken, until every window has closed."""
    world = witness.world
    going = list(witness.mailings)
    last = max((promised.mailing.end_at for promised in witness.mailings.values()), default=world.clock.now())
    limit = max(last, world.clock.now()) + timedelta(minutes=45)

    def ended() -> bool:
        while going and _is_over(world.services.mailings.get(going[-1])):
            going.pop()
        return not going

    if not world.scheduler.run_until(world.clock.now() + timedelta(minutes=20), ended, check=500):
        world.workers.tick_after = 600.0
        world.scheduler.run_until(limit, ended, check=500)
        world.workers.tick_after = 0.001
    world.run_for(30)


def _is_over(mailing: Mailing) -> bool:
    status = mailing.status
    return status == "expired" or bool(mailing.final) or (status == "cancelled" and not mailing.launched_at)
