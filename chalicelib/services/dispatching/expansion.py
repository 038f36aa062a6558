"""Expansion: writes the ledger's rows for the clients of a launched mailing, shard by shard and page by page."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...config import Settings
from ...domain.clients import Client, IndexedClient
from ...domain.errors import Unavailable
from ...domain.mailing_counters import counters_of
from ...domain.mailings import Mailing, ShardProgress
from ...domain.messages import HINT_SIZE, Message
from ...domain.sending_rules import obstacle
from ...observability import MESSAGES_CREATED, MESSAGES_DISPATCHED, logger, measure
from ...queues import BATCH, Queue, hints_for
from ...storage.client_changes import LAG, place_of
from ...storage.clients import ClientRepository
from ...storage.leases import new_owner
from ...storage.ledger import Ledger
from ...storage.mailings import MailingRepository
from ..at_once import AtOnce
from ..audiences import Audiences
from ..gateways import Throttle
from ..message_metrics import measure_status
from .feeder_budgets import AHEAD
from .new_rows import new_rows

# Clients in a page. A shard's first page is small, so that sending starts soon, but makes at least ten hints: one call
# sends ten, and a sender that receives ten at once need not wait for more.
FIRST_PAGE, PAGE = BATCH * HINT_SIZE, 500
PAGES = 10_000  # pages of a shard in one invocation, whose time is over before that
_CHANGES = 200  # transactions of the log of changed clients at once; each changes up to a hundred, in all shards
_ALL = 1_000_000  # rows of a page
_IN_LOG = "log:"  # begins a shard's cursor after its index is read
SHARD_LEASE = timedelta(seconds=45)  # renewed with every page; longer than a page and its retries take
_STOP_BEFORE = timedelta(seconds=10)  # before the deadline: a page may take so long
_TICK = timedelta(milliseconds=1)  # the precision of the tables
# A cancelled mailing is still expanded, so that the ledger says what became of everyone who matched.


@dataclass(slots=True)
class _Page:
    """The next page of one shard: its clients' rows, and the place after it in the index or the log of changes."""

    rows: list[Message]
    cursor: str
    late: bool = False  # whether rows for clients who changed meanwhile were added


class Expander:
    """Gives everybody who matches at the launch, and still does, exactly one row.

    The index may change while it is read: a client who moves from ahead of the cursor to behind it is missed, and one
    who moves the other way is met twice. So the log of changed clients is read after the last page. A client who did
    not change between the launch and that moment had a fixed place in the index, and was met. A client who changed is
    in the log, and gets a row if they match and have none. Nobody gets two rows: a row's key consists of mailing and
    client, and an insert never changes an existing row. The log is read from a minute before the launch on, because the
    index may not have shown the changes of that minute.
    """

    def __init__(
        self,
        settings: Settings,
        clients: ClientRepository,
        audiences: Audiences,
        mailings: MailingRepository,
        ledger: Ledger,
        control: Throttle,
        send_queue: Queue,
        at_once: AtOnce,
        clock: SystemClock,
        rng: random.Random,
    ) -> None:
        self._little = settings.queue_high_water // 4
        self._clients = clients
        self._audiences = audiences
        self._mailings = mailings
        self._ledger = ledger
        self._control = control
        self._send_queue = send_queue
        self._at_once = at_once
        self._clock = clock
        self._rng = rng

    def taken(self, mailing: Mailing) -> ShardProgress:
        """The shard that the launch begins, with its lease: the only one of a small mailing.

        Of a large mailing only one, because all at once would delay the first messages.
        """
        until = self._clock.now() + SHARD_LEASE
        return ShardProgress(mailing.division.names[0], owner=new_owner(self._rng), lease_until=until)

    def begin(self, mailing: Mailing, shard: ShardProgress) -> ShardProgress | None:
        """Write the first page of the shard that the launch took. Returns how far it has come.

        None if another dispatcher has taken it over since. Raises Unavailable as `expand` does; the lease is then
        ended.
        """
        mailing_id = mailing.mailing_id
        self._ledger.begin(mailing)
        try:
            found = self._page(mailing, shard, [])
        except Unavailable:
            with suppress(Unavailable):
                self._mailings.shards.give_up(mailing_id, shard.shard, shard.owner, self._clock.now())
            raise
        if found and not found.expanded:
            self._mailings.shards.release(mailing_id, found.shard, found.owner)
        return found

    def expand(
        self,
        mailing_id: str,
        shard: str,
        deadline: datetime,
        gives_way: Callable[[], bool] = lambda: False,
    ) -> ShardProgress | None:
        """Write the rows of one shard.

        It may stop early to let other units go first; another invocation then continues.

        Returns how far the shard has come, or None if another dispatcher has it or there is nothing to do.
        """
        mailing, found = self._mailings.with_shard(mailing_id, shard)
        if found is None or found.expanded or not mailing.state.expands:
            return None
        owner = new_owner(self._rng)
        now = self._clock.now()
        if not self._mailings.shards.acquire(mailing_id, found, owner, now, now + SHARD_LEASE):
            return None
        following: ShardProgress | None = replace(found, owner=owner, taken_over=bool(found.owner))
        try:
            left = self._left_behind(mailing_id, found, deadline) if found.owner else []
            for _ in range(PAGES):
                if following is None or following.expanded or self._clock.now() >= deadline - _STOP_BEFORE:
                    break
                if gives_way():
                    break
                following, left = self._page(mailing, following, left), []
        except Unavailable:
            with suppress(Unavailable):  # so that the unit's next try does not wait for the lease to end
                self._mailings.shards.give_up(mailing_id, shard, owner, self._clock.now())
            raise
        if following is None:
            logger.warning("another dispatcher is expanding the shard", mailing_id=mailing_id, shard=shard)
        elif not following.expanded:
            self._mailings.shards.release(mailing_id, shard, owner)
        return following

    def _left_behind(self, mailing_id: str, shard: ShardProgress, deadline: datetime) -> list[Message]:
        """Rows that a dispatcher wrote but did not count, because it stopped before it moved the cursor.

        Reading the page again does not find them for certain, because it may begin or end elsewhere now.
        """
        left: list[Message] = []
        after, more = "", True
        while more:
            if self._clock.now() >= deadline - 2 * _STOP_BEFORE:
                return []  # going on is more important; the recount at the mailing's end finds them
            rows, after = self._ledger.page(mailing_id, shard.shard, after, PAGE)
            left += (row for row in rows if shard.counted_at is None or row.created_at > shard.counted_at)
            more = bool(after)
        return left

    def _page(self, mailing: Mailing, shard: ShardProgress, left: Sequence[Message]) -> ShardProgress | None:
        """The next page of a shard; None if its lease was lost.

        The order is ledger, queue, cursor, so that any step may be repeated.
        """
        clients, cursor = self._walk(mailing, shard)
        # Later than all counted rows, so that rows which are not counted can be recognised.
        now = max(self._clock.now(), shard.counted_at + _TICK) if shard.counted_at else self._clock.now()
        # The first page goes to the queue at once, so that sending starts while the rest is expanded; a small mailing
        # needs nothing else. So does any page that finds the queue nearly empty, because a new table may take rows more
        # slowly than they are sent. The rest waits in the ledger for the feeder.
        direct = self._direct(mailing, shard, now)
        page = _Page(new_rows(mailing, clients, now, direct), cursor)
        added = self._insert(page.rows, left)
        late: list[Message] = []
        steps = [lambda: late.extend(self._late(mailing, shard.shard, page, now))]
        if direct:
            steps.append(lambda: self._hint(mailing, page.rows))
        self._at_once.map(lambda step: step(), steps)
        added += self._insert(late, left)
        for row in added:
            measure_status(row)
        measure(MESSAGES_CREATED, len(added))
        return self._advance(mailing, shard, page, [*added, *left], now, direct)

    def _hint(self, mailing: Mailing, rows: Sequence[Message]) -> None:
        hinted = [row.client_id for row in rows if row.hinted]
        self._send_queue.send(hints_for(mailing.mailing_id, hinted, mailing.division))
        measure(MESSAGES_DISPATCHED, len(hinted))

    def _walk(self, mailing: Mailing, shard: ShardProgress) -> tuple[Sequence[Client | IndexedClient], str]:
        """The next clients of a shard, and the cursor after them: "" at the end of its index.

        A shard that holds several of the clients' shards begins with a page of each of them. If that is not all, it
        continues with one after the other.
        """
        cursor = shard.cursor
        if cursor.startswith(_IN_LOG):
            return (), cursor
        names = mailing.division.of_clients(shard.shard)
        size = PAGE if cursor else FIRST_PAGE
        if len(names) == 1:
            clients, following = self._audiences.walk(mailing.segment, names[0], cursor, size)
            return self._members(mailing, clients), following
        first, _, inside = cursor.partition("|")
        ahead = names[names.index(first) :] if first else names
        some = ahead[:1] if first else ahead
        walked = self._at_once.map(lambda name: self._audiences.walk(mailing.segment, name, inside, size), some)
        found: list[Client | IndexedClient] = []
        following = f"{ahead[1]}|" if first and len(ahead) > 1 else ""
        for name, (clients, after) in zip(some, walked, strict=True):
            found += clients
            if after:
                following = f"{name}|{after}"
                break
        return self._members(mailing, found), following

    def _members(self, mailing: Mailing, clients: Sequence[Client | IndexedClient]) -> Sequence[Client | IndexedClient]:
        """The clients who match the mailing's filter as of its launch, which does not change between two reads."""
        return self._audiences.members(mailing.segment, clients, mailing.launched_at or mailing.created_at)

    def _late(self, mailing: Mailing, shard: str, page: _Page, now: datetime) -> list[Message]:
        """Rows for some clients who changed meanwhile, after the shard's index is read; moves the page's cursor.

        A file of recipients does not change.
        """
        is_read = not page.cursor or page.cursor.startswith(_IN_LOG)
        if mailing.segment.recipients or not is_read:
            return []
        rows, page.cursor = self._missed(mailing, shard, page.cursor.removeprefix(_IN_LOG), now)
        page.late = bool(rows)
        return rows

    def _advance(
        self,
        mailing: Mailing,
        shard: ShardProgress,
        page: _Page,
        written: Sequence[Message],
        now: datetime,
        direct: int,
    ) -> ShardProgress | None:
        """Move a shard's cursor behind its page and count the rows. Returns None if the lease was lost."""
        new = replace(
            shard,
            cursor=page.cursor,
            expanded=not page.cursor,
            rows=shard.rows + len(written),
            # There is nothing to feed as long as every page went to the queue at once.
            fed=(shard.fed or not shard.cursor) and direct >= len(page.rows) and not page.late and not shard.taken_over,
            taken_over=False,
            lease_until=now + SHARD_LEASE,
            counted_at=now,
        )
        # Of the rows that were left behind, the sender has counted those that were tried since.
        settled = Counter(name for row in written if row.revision == 1 for name in counters_of(row))
        done = self._mailings.shards.advance(mailing.mailing_id, shard, new, now, settled)
        return new if done else None

    def _insert(self, rows: Sequence[Message], left: Sequence[Message]) -> list[Message]:
        """Insert rows. Returns the new ones: a client who is met twice has a row already, which is counted."""
        new = [row for row, new in zip(rows, self._ledger.insert(rows), strict=True) if new]
        doubtful = {row.key: row for row in rows} if len(new) < len(rows) else {}
        for row in (*new, *left):
            doubtful.pop(row.key, None)
        if doubtful:  # an insert that was repeated because its answer was lost finds its own row
            found = self._ledger.read(doubtful)
            new += [row for key, row in doubtful.items() if key in found and found[key].created_at == row.created_at]
        return new

    def _missed(self, mailing: Mailing, shard: str, after: str, now: datetime) -> tuple[list[Message], str]:
        """Rows for clients in the next part of the log who match, belong to this shard and have none.

        Also returns the cursor, "" at the end.
        """
        division = mailing.division
        began = mailing.launched_at or mailing.created_at
        changes, following = self._clients.changes.page(after or place_of(began - LAG), _CHANGES)
        changed = {one for change in changes for one in change.client_ids if division.shard_of(one) == shard}
        found = self._clients.get_many(changed).values() if changed else ()
        clients = [client for client in found if mailing.segment.matches(client)]
        rows = new_rows(mailing, self._members(mailing, clients), now, direct=0)
        there = self._ledger.read([row.key for row in rows]) if rows else {}
        return [row for row in rows if row.key not in there], _IN_LOG + following if following else ""

    def _direct(self, mailing: Mailing, shard: ShardProgress, now: datetime) -> int:
        """How many rows of a shard's next page go to the queue at once; with a rate, as many as it allows."""
        control = self._control.state()
        if obstacle(mailing, now) or control.open:
            return 0
        limit = control.limit(now, self._control.weight(mailing))
        rates = [rate for rate in (mailing.rate_limit, limit) if rate]
        if not rates:
            return _ALL if not shard.cursor or self._send_queue.depth() < self._little else 0
        if not shard.cursor or shard.counted_at is None:
            return 0  # a small mailing is left to the feeder, which knows how much of its rate is used
        ahead = AHEAD.total_seconds()
        little = min(self._little, limit * ahead / HINT_SIZE) if limit else self._little
        if self._send_queue.depth() >= little:
            return 0
        since = min(ahead, (now - shard.counted_at).total_seconds())
        return int(min(rates) * since / mailing.division.shards + self._rng.random())
