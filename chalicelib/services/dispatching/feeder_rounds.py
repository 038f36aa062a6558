"""The rounds of one feeder: it fills the send queue again and again, in fair shares and within the rates."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...config import Settings
from ...domain.deadlines import is_over
from ...domain.errors import NotFound
from ...domain.gateway_control import PROBES, GatewayControl
from ...domain.mailings import MailingState
from ...domain.messages import HINT_SIZE
from ...domain.sending_rules import obstacle
from ...observability import MESSAGES_DISPATCHED, measure
from ...queues import Queue
from ...storage.mailings import MailingRepository
from ..at_once import AtOnce
from ..gateway_control import HORIZON
from ..gateways import Throttle
from .feeder_budgets import AHEAD, GATEWAY, NEARLY, Budgets
from .hinting import PAGE, SOON, Hinter, Portion, seconds_until

_IDLE = (0.2, 2.0)  # seconds between looks at a queue that is full enough, longer the longer it is
_A_LITTLE = 0.01  # seconds more, so that a rate that was waited for certainly allows something
_PARKED_EVERY = timedelta(seconds=3)  # between looks at a mailing's parked messages, when all that are due have hints
_LINGER = timedelta(seconds=15)  # to stay after the last hint, for messages that are parked again and due at once
_READS = 64  # named mailings that are read for the first time in one round
_LOOKERS = 4  # mailings whose parked messages are looked for while others are fed; a look takes 16 calls
_IDLERS = 16  # mailings without work now that are read again in one round: some have ended
_BELIEVED_FOR = timedelta(seconds=1)  # how long a read of a mailing is valid
_FEW = 8  # mailings that get a turn in one round, however little may be sent
_SMALL = 100  # messages that a mailing gets at least in a turn, if it has them: a turn takes five calls


@dataclass(slots=True, eq=False)
class Known:
    """What a feeder remembers of one mailing."""

    mailing_id: str
    fed_at: datetime  # the last hint, or when it was named
    state: MailingState | None = None
    read_at: datetime | None = None
    booked_until: datetime | None = None  # end of the booked turns of a mailing with its own rate, when it was read
    look_at: datetime | None = None  # for parked messages; None: now
    turn: int = 0  # the round in which it was last fed
    looked: bool = False  # whether all parked messages that are due soon have hints, as far as is known
    found: bool = False  # whether the last look found some without

    def is_old(self, now: datetime) -> bool:
        """Whether the mailing must be read again before it is fed: it may have been paused."""
        return self.state is None or is_over(self.read_at and self.read_at + _BELIEVED_FOR, now, _BELIEVED_FOR)

    def is_to_be_read(self, now: datetime) -> bool:
        """Whether it must be read to know if there is work left."""
        return self.state is None or (not self.has_work(now) and not self._was_read_since())

    def _was_read_since(self) -> bool:
        return self.read_at is not None and self.read_at >= self.fed_at

    def has_parked(self, now: datetime) -> bool:
        """Whether to look for parked messages now."""
        if self.state is None or self.state.statistics.by_status["waiting"] <= 0:
            return False
        return not self.state.sleeps(now, now + SOON) and is_over(self.look_at, now, _PARKED_EVERY)

    def has_work(self, now: datetime) -> bool:
        """Whether there may be something to feed now."""
        return self.state is not None and (self.state.next_to_feed is not None or self.has_parked(now))

    def is_done(self, now: datetime) -> bool:
        """Whether there is nothing to feed until somebody names the mailing again."""
        if self.state is None or self.state.next_to_feed:
            return False
        if self.state.statistics.by_status["waiting"] <= 0:
            return self._was_read_since()
        is_quiet = self.looked or self.state.sleeps(now, now + SOON)
        return is_quiet and not self.has_parked(now) and now - self.fed_at >= _LINGER

    @property
    def is_sure(self) -> bool:
        """Whether there is certainly something to feed, not only something to look for."""
        return self.found or bool(self.state and self.state.next_to_feed)


class FeederRounds:
    """Remembers the mailings that were named, as long as they have something to feed, and reads no others."""

    def __init__(
        self,
        settings: Settings,
        mailings: MailingRepository,
        hinter: Hinter,
        control: Throttle,
        send_queue: Queue,
        at_once: AtOnce,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._mailings = mailings
        self._hinter = hinter
        self._control = control
        self._send_queue = send_queue
        self._at_once = at_once
        self._clock = clock
        self._rng = rng
        self._budgets = Budgets(clock)
        self._known: dict[str, Known] = {}
        self._turn = 0
        self._idle = _IDLE[0]

    def add(self, names: Iterable[str]) -> None:
        """Add mailings that have, or may have, something to feed."""
        now = self._clock.now()
        for name in names:
            known = self._known.setdefault(name, Known(name, now))
            known.state, known.look_at, known.fed_at = None, None, now

    @property
    def names(self) -> Sequence[str]:
        """The mailings that have, or may have, something to feed."""
        return tuple(self._known)

    def round(self) -> bool:
        """Fill the queue up to its mark, with a fair share for every mailing.

        Returns False if nothing is left to do.
        """
        now = self._clock.now()
        self._turn += 1
        control = self._control_now()
        unread = [known for known in self._known.values() if known.is_to_be_read(now)]
        idle = [
            known for known in self._known.values() if known.state and not known.has_work(now) and known.is_old(now)
        ]
        self._read(unread[:_READS] or idle[:_IDLERS])
        if control.open:
            self._probe(control)
            # The sender that closes the circuit, or finds it still in trouble, starts a feeder, but not beside this
            # one.
            return not self._control_now().open
        ready = [known for known in self._known.values() if known.has_work(now)]
        self._rng.shuffle(ready)
        limit = self._control.limit([known.state.mailing for known in ready if known.state])
        fed = self._feed_all(ready, limit)
        if fed:
            self._idle = _IDLE[0]
        self._forget()
        if not fed and self._known and len(unread) <= _READS:
            until_next = self._budgets.seconds_until_next()
            self._clock.sleep(self._idle if until_next is None else min(self._idle, until_next + _A_LITTLE))
            self._idle = min(_IDLE[1], self._idle * 1.5)
        return bool(self._known)

    def _control_now(self) -> GatewayControl:
        """The gateway's control. An open circuit is read again to be sure.

        A feeder that was started because the circuit closed must not end because of what was read a second ago.
        """
        control = self._control.state()
        return self._control.state(self._clock.now()) if control.open else control

    # -- mailings

    def _read(self, some: Sequence[Known]) -> None:
        """Read mailings again, and forget those that may not send: whoever resumes one names it again."""

        def read(known: Known) -> MailingState | None:
            try:
                state = self._mailings.state(known.mailing_id)
            except NotFound:
                return None
            known.booked_until = self._control.booked_until(state.mailing)
            return state

        read_at = self._clock.now()
        for known, state in zip(some, self._at_once.map(read, some), strict=True):
            known.state, known.read_at = state, read_at
            if state is None or obstacle(state.mailing, self._clock.now()):
                del self._known[known.mailing_id]

    def _forget(self) -> None:
        now = self._clock.now()
        for known in [known for known in self._known.values() if known.is_done(now)]:
            del self._known[known.mailing_id]

    # -- shares

    def _feed_all(self, ready: Sequence[Known], rate: float | None) -> int:
        """Feed the mailings that waited longest for a turn.

        Returns the number of messages that got hints, and of rows skipped.

        With a rate, everything is counted in the gateway's unit, of which a message may take several. If the last one
        takes more than is left, the next round gets less.
        """
        high = self._settings.queue_high_water
        room = high - self._send_queue.depth() if ready else 0
        if room < high // 4:
            return 0
        room *= HINT_SIZE
        if rate:
            room = min(room, self._budgets.of(GATEWAY, rate))
        if room <= 0:
            return 0
        in_turn = sorted(ready, key=lambda known: known.turn)
        sure = [known for known in in_turn if known.is_sure][: max(_FEW, math.ceil(room / _SMALL))]
        # The others are looked at meanwhile, or many at once if there is nothing else to do.
        busy = sure or any(known.state is None for known in self._known.values())
        others = [known for known in in_turn if not known.is_sure][: _LOOKERS if busy else _READS]
        chosen = [*sure, *others]
        now = self._clock.now()
        self._read([known for known in chosen if known.is_old(now)])
        portions: list[tuple[Known, Portion]] = []
        given = 0
        for place, known in enumerate(chosen):
            known.turn, state = self._turn, known.state
            if known.mailing_id not in self._known or state is None or not known.has_work(now):
                continue
            weight = self._control.weight(state.mailing) if rate else 1
            share = min(math.ceil(room / weight), _SMALL)
            if place < len(sure):
                share = math.ceil((room - given) / (len(sure) - place) / weight)
            if state.mailing.rate_limit:
                share = min(share, self._of_its_rate(known, state.mailing.rate_limit, rate))
            if place < len(sure):
                given += max(0, share * weight)
            if share > 0:
                portions += ((known, portion) for portion in self._portions(known, state, share, now))
        return self._feed(portions)

    def _of_its_rate(self, known: Known, own: int, gateways: float | None) -> int:
        """How many messages a mailing's own rate allows; none if its turns are booked for a while anyway."""
        count = self._budgets.of(known.mailing_id, own, AHEAD if gateways else NEARLY)
        enough_until = known.booked_until and known.booked_until - 2 * NEARLY
        return count if is_over(enough_until, self._clock.now(), HORIZON) else 0

    def _portions(self, known: Known, state: MailingState, share: int, now: datetime) -> list[Portion]:
        """The portions for a mailing's share, worked on at once: parked messages first, or pages of several shards."""
        if known.has_parked(now):
            return [Portion(state, share, parked=True, shard=state.next_to_feed)]
        portions: list[Portion] = []
        for shard in state.to_feed:
            if share <= 0:
                break
            most = min(share, PAGE, max(1, shard.rows))
            portions.append(Portion(state, most, shard=shard))
            share -= most
        return portions

    def _feed(self, portions: Sequence[tuple[Known, Portion]]) -> int:
        """Send the hints of portions, and remember the results."""
        fed = 0
        done = self._at_once.map(lambda one: self._hinter.hint(one[1]), portions)
        for (known, portion), result in zip(portions, done, strict=True):
            now = self._clock.now()
            measure(MESSAGES_DISPATCHED, result.hinted)
            self._budgets.spend(known.mailing_id, result.hinted, self._control.weight(portion.state.mailing))
            if result.hinted:
                known.fed_at = now
            if portion.parked:
                known.looked, known.found = result.all_parked, result.hinted > 0
                known.look_at = now + _PARKED_EVERY if result.all_parked else None
            if result.moved is False or result.passed:
                known.read_at = None  # somebody restarted its feed, or closes its rows
            if result.moved and result.shard and known.state:
                known.state = replace(known.state, shards={**known.state.shards, result.shard.shard: result.shard})
            fed += result.hinted + result.passed
        return fed

    def _probe(self, control: GatewayControl) -> None:
        """Send a few messages when an open circuit may be tried again.

        They come from as many mailings as possible, because messages that the gateway never accepts must not decide for
        the others.
        """
        if control.held or control.retry_at is None:
            return
        now = self._clock.now()
        delay = 0 if control.may_be_tried(now) else seconds_until(control.retry_at, now)
        ready: list[Known] = []
        unread = self._rng.sample(list(self._known.values()), len(self._known))
        while unread and len(ready) < PROBES:
            some, unread = unread[:_READS], unread[_READS:]
            self._read([known for known in some if known.is_old(now)])
            ready += (known for known in some if known.mailing_id in self._known and known.has_work(now))
        for known in itertools.islice(itertools.cycle(ready), PROBES):
            if state := known.state:
                parked = known.has_parked(now)
                self._feed([(known, Portion(state, 1, parked=parked, shard=state.next_to_feed, wait=delay))])
