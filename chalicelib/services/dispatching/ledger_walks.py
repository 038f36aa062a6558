"""Walking: reads a mailing's ledger page by page, at once if it is small, else in a unit for each shard."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.errors import Unavailable
from ...domain.mailings import Mailing
from ...domain.walks import Walk, next_lap, summed
from ...observability import logger
from ...queues import HOPS, Queue, Unit
from ...storage.leases import new_owner
from ...storage.mailings import MailingRepository
from ...storage.walks import WalkRepository

Step = Callable[[Mailing, Walk], Walk]  # handles one page after the walk's cursor; the mailing was just read
LEASE = timedelta(seconds=45)  # longer than a page and its retries take
_SAVE_EVERY = timedelta(seconds=15)  # so that a killed invocation loses little
_STOP_BEFORE = timedelta(seconds=10)  # before the deadline: a page may take so long


class Walker:
    """A round reads all shards once. If an invocation is killed, another one continues from the saved place."""

    def __init__(
        self,
        mailings: MailingRepository,
        walks: WalkRepository,
        dispatch_queue: Queue,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._mailings = mailings
        self._walks = walks
        self._dispatch_queue = dispatch_queue
        self._clock = clock
        self._rng = rng

    def at_once(self, mailing: Mailing, step: Step, deadline: datetime, *, watched: bool) -> Walk | None:
        """Read a whole ledger here and now; None if there is not enough time.

        `watched`, for steps that change rows, reads the mailing before each page; None if it has changed.
        """
        walk = Walk()
        for shard in mailing.division.names:
            walk = replace(walk, shard=shard, cursor="", done=False)
            while not walk.done:
                if self._clock.now() >= deadline - _STOP_BEFORE:
                    return None
                current = self._mailings.get(mailing.mailing_id) if watched else mailing
                if current.revision != mailing.revision:
                    return None
                walk = step(current, walk)
        return walk

    def in_units(self, mailing: Mailing, unit: Unit, name: str, step: Step, deadline: datetime) -> Walk | None:
        """Do a unit's part of the named round: walk its shard, or start the walks of all shards.

        Returns the sum of all shards if this unit finishes a lap, or finds the round finished without open rows. Else
        None: other units are working on it.
        """
        if unit.shard and not self.shard(mailing, unit, name, step, deadline):
            return None
        walks, now, names = self._walks.read(mailing.mailing_id), self._clock.now(), mailing.division.names
        ours = [walk for shard in names if (walk := walks.get(shard)) and walk.round == name]
        over = [walk for walk in ours if walk.clean or (walk.done and unit.shard and walk.lap >= unit.lap)]
        if len(over) == len(names):
            return summed(over)
        if not unit.shard:
            lap = next_lap(ours, len(names))
            ready = {walk.shard for walk in ours if walk.clean or (walk.done and walk.lap == lap)}
            busy = {walk.shard for walk in walks.values() if not walk.is_free(now, LEASE)}
            self.send(replace(unit, lap=lap), *(shard for shard in names if shard not in busy | ready))
        return None

    def shard(self, mailing: Mailing, unit: Unit, name: str, step: Step, deadline: datetime) -> bool:
        """Continue the walk of a unit's shard. Returns True if this call reached its end.

        If there is not enough time, the unit is sent again; if the mailing has changed, a unit for all of its shards.
        """
        mailing_id, now = mailing.mailing_id, self._clock.now()
        owner = new_owner(self._rng)
        walk = self._walks.take(mailing_id, unit.shard, name, unit.lap, owner, now, now + LEASE)
        if walk is None:
            return False
        try:
            walk, changed = self._pages(mailing, walk, step, deadline)
        except _Lost:
            logger.warning("another dispatcher is walking the shard", mailing_id=mailing_id, shard=unit.shard)
            return False
        if not self._walks.save(mailing_id, replace(walk, lease_until=None)):
            return False
        if changed:
            self.send(unit, "")
        elif not walk.done:
            self.send(unit, unit.shard)
        return walk.done and not changed

    def _pages(self, mailing: Mailing, walk: Walk, step: Step, deadline: datetime) -> tuple[Walk, bool]:
        """The walk as far as this invocation comes, and whether the mailing has changed meanwhile."""
        mailing_id = mailing.mailing_id
        saved_at = self._clock.now()
        try:
            while not walk.done and (now := self._clock.now()) < deadline - _STOP_BEFORE:
                if now - saved_at >= _SAVE_EVERY:
                    walk, saved_at = replace(walk, lease_until=now + LEASE), now
                    if not self._walks.save(mailing_id, walk):
                        raise _Lost
                current = self._mailings.get(mailing_id)
                if current.revision != mailing.revision:
                    return walk, True
                walk = step(current, walk)
        except Unavailable:
            with suppress(Unavailable):  # so that the next invocation does not wait for the lease to end
                self._walks.save(mailing_id, replace(walk, lease_until=None))
            raise
        return walk, False

    def is_done(self, mailing_id: str, shard: str, name: str) -> bool:
        """Whether a shard's walk of this round has reached its end."""
        walk = self._walks.read(mailing_id).get(shard, Walk())
        return walk.done and walk.round == name

    def others(self, mailing_id: str, name: str) -> bool:
        """Whether another round is working on the ledger."""
        now = self._clock.now()
        return any(
            not walk.is_free(now, LEASE) and walk.round != name for walk in self._walks.read(mailing_id).values()
        )

    def send(self, unit: Unit, *shards: str, delay: float = 0) -> None:
        """Send a unit again for each of these shards ("" for all).

        If its chain is too long, the tick does it instead.
        """
        if unit.hop < HOPS and shards:
            lap = unit.lap if any(shards) else 0
            bodies = [replace(unit, shard=shard, hop=unit.hop + 1, lap=lap).body() for shard in shards]
            self._dispatch_queue.send_each([(body, delay) for body in bodies])

    def clear(self, mailing_id: str) -> None:
        """Remove the walks of an ended mailing."""
        self._walks.clear(mailing_id)


class _Lost(Exception):
    """Another invocation has taken the walk over."""
