"""Feeding: queues hints for rows of the ledger as fast as messages are sent, and no faster."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...config import Settings
from ...domain.deadlines import is_over
from ...domain.mailing_counters import DOUBTS
from ...domain.mailings import MailingState, Sleep
from ...domain.messages import HINT_SIZE
from ...domain.recounts import RECOUNT_AFTER
from ...domain.statuses import MailingStatus
from ...queues import HOPS, Queue, Unit, UnitKind
from ...storage.feeding_list import FeedingList
from ...storage.leases import LeaseRepository, new_owner
from ...storage.ledger import Ledger
from ...storage.mailings import MailingRepository
from ..at_once import AtOnce
from ..gateways import Throttle
from .expansion import SHARD_LEASE
from .feeder_rounds import FeederRounds
from .hinting import EVER, SOON, Hinter, is_due_soon

_FEEDER = "feeder"  # a lease
_LEASE = timedelta(seconds=20)
_STOP_BEFORE = timedelta(seconds=10)  # before the deadline
_ALL = "all"  # instead of a mailing's id: all running mailings
_NAMES = 5000  # mailings that one unit can name; a message of SQS has at most 256 KB
_NAMED_EVERY = timedelta(seconds=0.5)  # how often a feeder reads which other mailings it should feed


class Feeder:
    """Keeps the send queue short but never empty, so that a pause takes seconds and a slow gateway piles nothing up.

    The embedded emulator needs a short queue too: the longer its queue is, the slower it receives.
    """

    def __init__(
        self,
        settings: Settings,
        mailings: MailingRepository,
        ledger: Ledger,
        leases: LeaseRepository,
        control: Throttle,
        dispatch_queue: Queue,
        send_queue: Queue,
        feeding_list: FeedingList,
        at_once: AtOnce,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._mailings = mailings
        self._ledger = ledger
        self._leases = leases
        self._control = control
        self._dispatch_queue = dispatch_queue
        self._send_queue = send_queue
        self._list = feeding_list
        self._at_once = at_once
        self._clock = clock
        self._rng = rng

    def ensure(self, *names: str) -> None:
        """Make sure that a feeder runs and feeds these mailings, or all running ones. A second feeder ends at once."""
        self._dispatch_queue.send([_unit(names).body()])

    def feed(self, unit: Unit, deadline: datetime) -> None:
        """Feed the unit's mailings, or all running ones, until nothing is left to feed or the deadline.

        Mailings that are named meanwhile are fed too. One invocation at a time does this; another one passes its
        mailings on to it.
        """
        owner = new_owner(self._rng)
        names = unit.mailing_ids or (_ALL,)
        if not self._acquire(owner):
            self._list.add(names)
            if not self._acquire(owner):  # else it has ended meanwhile and may not have seen them
                if unit.hop == 0:  # it may have been killed: look again when its lease is over
                    self._dispatch_queue.send([replace(unit, hop=HOPS).body()], _LEASE.seconds + 1)
                return
        rounds = self._new_rounds()
        rounds.add(self._running(names))
        work_left = self._rounds(rounds, owner, deadline)
        if work_left is None:
            self._list.add(rounds.names)  # for whoever has the lease now
            return
        self._leases.release(_FEEDER, owner)
        if work_left and unit.hop < HOPS:
            self._dispatch_queue.send([_unit(rounds.names, unit.hop + 1).body()])
        elif not work_left and not self._control.state().open and (late := self._list.take()):
            self.ensure(*(() if _ALL in late else late))  # passed on while this one was about to end

    def _rounds(self, rounds: FeederRounds, owner: str, deadline: datetime) -> bool | None:
        """Feed in rounds. Returns whether work is left at the end, None if the lease was lost."""
        renew_at = self._clock.now() + _LEASE / 2
        list_at = None
        while True:
            now = self._clock.now()
            if now >= deadline - _STOP_BEFORE:
                return True
            if is_over(renew_at, now, _LEASE):
                if not self._acquire(owner):
                    return None
                renew_at = now + _LEASE / 2
            if is_over(list_at, now, _NAMED_EVERY):
                rounds.add(self._running(self._list.take()))
                list_at = now + _NAMED_EVERY
            if not rounds.round():
                return False

    def _acquire(self, owner: str) -> bool:
        now = self._clock.now()
        return self._leases.acquire(_FEEDER, owner, now, now + _LEASE)

    def _running(self, names: Sequence[str]) -> Sequence[str]:
        """The ids, or those of all running mailings if `_ALL` is one of them."""
        if _ALL not in names:
            return names
        return [mailing_id for mailing_id, _ in self._mailings.lists.ids_with_status(MailingStatus.RUNNING)]

    def _new_rounds(self) -> FeederRounds:
        hinter = Hinter(
            mailings=self._mailings, ledger=self._ledger, send_queue=self._send_queue, clock=self._clock, rng=self._rng
        )
        return FeederRounds(
            settings=self._settings,
            mailings=self._mailings,
            hinter=hinter,
            control=self._control,
            send_queue=self._send_queue,
            at_once=self._at_once,
            clock=self._clock,
            rng=self._rng,
        )

    def restart(self, state: MailingState) -> None:
        """Walk the ledger of a mailing from its start: every open row gets a hint, even if it had one."""
        for shard in state.shards.values():
            if shard.expanded:
                self._mailings.shards.restart_feed(state.mailing.mailing_id, shard)
        self.ensure(state.mailing.mailing_id)

    def restart_all(self, queues_lost: bool = True) -> None:
        """Restart every running mailing after its workers were killed.

        `queues_lost` says whether the queues were lost too.

        Lost queues are filled again, as after a resume, and the mailing is recounted soon, because a killed sender may
        have sent everything without counting it. Shards that were being expanded continue when the lease is over.
        """
        for mailing in list(self._mailings.lists.with_status(MailingStatus.RUNNING)):
            mailing_id, now = mailing.mailing_id, self._clock.now()
            units = [(Unit(UnitKind.RECOUNT, mailing_id).body(), RECOUNT_AFTER)]
            if queues_lost:
                units.append((Unit(UnitKind.RESUME, mailing_id).body(), 0.0))
            self._mailings.add_counts(mailing_id, Counter({DOUBTS: 1}), now)
            for shard in self._mailings.state(mailing_id).shards.values():
                if not shard.expanded and shard.lease_until and not is_over(shard.lease_until, now, SHARD_LEASE):
                    wait = (shard.lease_until - now).total_seconds() + 1
                    units.append((Unit(UnitKind.EXPAND, mailing_id, shard.shard).body(), wait))
            self._dispatch_queue.send_each(units)

    def is_needed(self, state: MailingState) -> bool:
        """Whether a mailing has rows without a hint, or parked rows that are due soon."""
        if state.next_to_feed:
            return True
        if state.statistics.by_status["waiting"] <= 0:
            return False
        now, mailing = self._clock.now(), state.mailing
        if state.sleeps(now, now + SOON):
            return False
        first: datetime | None = None
        for shard in mailing.division.names:
            for due_at, _ in self._ledger.due(mailing.mailing_id, shard, now + EVER, "", 1)[0]:
                if is_due_soon(mailing, due_at, now):
                    return True
                first = min(first or due_at, due_at)
        self._mailings.shards.note_sleep(mailing.mailing_id, Sleep(now, first))
        return False

    def is_idle(self) -> bool:
        """Whether the send queue is empty and no sender is working on anything from it."""
        held = self._send_queue.depths()
        return not (held.visible or held.delayed or held.in_flight)

    def is_stalled(self, state: MailingState) -> bool:
        """Whether all open rows were fed, made no progress for a while, and are not in the queue."""
        statistics = state.statistics
        if not statistics.dispatched or statistics.settled or state.next_to_feed:
            return False
        quiet_since = max(state.progress_at or state.mailing.updated_at, state.mailing.updated_at)
        stall_after = timedelta(seconds=self._settings.stall_after)
        if not is_over(quiet_since + stall_after, self._clock.now(), stall_after):
            return False
        held = self._send_queue.depth() * HINT_SIZE  # at most
        return held < statistics.open - statistics.by_status["waiting"] or not statistics.open


def _unit(names: Sequence[str], hop: int = 0) -> Unit:
    """A unit that names these mailings, or all running ones if they are too many."""
    return Unit(UnitKind.FEED, hop=hop, mailing_ids=tuple(names) if len(names) <= _NAMES else ())
