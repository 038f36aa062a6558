"""Whom a segment has: the counters know without a filter; with one, the clients are looked at page by page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..domain.client_ids import SHARDS
from ..domain.clients import Client, IndexedClient
from ..domain.filters import Facts, Filter
from ..domain.segments import Segment
from ..domain.statuses import MessageStatus
from ..storage.clients import ClientRepository
from ..storage.ledger import Ledger
from ..storage.recipients import RecipientRepository
from ..storage.segments import SegmentCount

_PAGE = 500  # clients
AT_ONCE = 5000  # clients that one request counts
_FOLLOWING = dict(zip(SHARDS, (*SHARDS[1:], ""), strict=True))
_RULE_OF_THREE = 3  # if none of n has something, 3/n of all may have it (Hanley and Lippman-Hand, 1983)


@dataclass(frozen=True, slots=True)
class Headcount:
    """The clients of a filtered segment as far as they were counted, and where to go on: "" as `shard` at the end."""

    parts: Counter[tuple[str, str, bool, bool]] = field(default_factory=Counter)  # operator, zone, opted out, lost
    looked_at: int = 0
    shard: str = SHARDS[0]
    cursor: str = ""

    def counts(self) -> list[SegmentCount]:
        """The counts as those of a segment without a filter are, but for the tags."""
        return [SegmentCount("", *key, count) for key, count in self.parts.items()]


class Audiences:
    """Finds and counts the clients of segments."""

    def __init__(self, clients: ClientRepository, ledger: Ledger, recipients: RecipientRepository) -> None:
        self._clients = clients
        self._ledger = ledger
        self._recipients = recipients

    def walk(
        self, segment: Segment, shard: str, cursor: str, limit: int
    ) -> tuple[Sequence[Client | IndexedClient], str]:
        """Up to `limit` clients of a shard, in the order of ids, whom its filter may leave out; and the next cursor.

        Those of a file of recipients are as the directory knows them, with what the file says of them.
        """
        if segment.recipients:
            return self._recipients.walk(segment.recipients, shard, cursor, limit)
        return self._clients.walk(segment, shard, cursor, limit)

    def total(self, segment: Segment) -> int:
        """How many clients a segment has at most, before a filter; it is 0 only if there is none."""
        if segment.recipients:
            file = self._recipients.find(segment.recipients)
            return file.count if file else 0
        return self._clients.count(segment)

    def members(
        self, segment: Segment, found: Sequence[Client | IndexedClient], now: datetime
    ) -> Sequence[Client | IndexedClient]:
        """Those of a segment's clients, found by tags and operators, whom its filter leaves."""
        wanted = segment.filter
        if wanted is None or not found:
            return found
        clients = self._clients.whole(segment, found)
        facts = Facts(now, self._statuses(wanted, clients))
        return [client for client in clients if wanted.matches(client, facts)]

    def _statuses(self, wanted: Filter, clients: Iterable[Client]) -> dict[tuple[str, str], MessageStatus]:
        keys = [(mailing_id, client.client_id) for mailing_id in wanted.mailings for client in clients]
        return {key: message.status for key, message in self._ledger.read(keys).items()} if keys else {}

    def at_most(self, segment: Segment, now: datetime) -> int:
        """About how many clients a segment has, rather too many than too few.

        Of a filtered one a sample is looked at: ids are evenly spread, so that the first ones are as good as any.
        """
        count = self.total(segment)
        if segment.filter is None or not count:
            return count
        sample, cursor = self.walk(segment, SHARDS[0], "", _PAGE)
        found = len(self.members(segment, sample, now))
        if not cursor and len(sample) == count:
            return found
        share = (found + _RULE_OF_THREE) / max(len(sample), 1)
        return min(count, round(count * share) + 1)

    def has_nobody(self, segment: Segment, now: datetime) -> bool:
        """Whether a segment is known to have no clients. If there are too many to look at all, it is not known."""
        if segment.filter is None:
            return not self.total(segment)
        headcount = self.count(segment, Headcount(), now)
        return not headcount.parts and not headcount.shard

    def count(self, segment: Segment, so_far: Headcount, now: datetime) -> Headcount:
        """Go on counting a segment by looking at its clients, at some 5,000 more of them."""
        parts, looked_at, shard, cursor = Counter(so_far.parts), 0, so_far.shard, so_far.cursor
        while shard and looked_at < AT_ONCE:
            clients, cursor = self.walk(segment, shard, cursor, _PAGE)
            looked_at += len(clients)
            for one in self.members(segment, clients, now):
                parts[one.operator, one.timezone, one.opted_out, one.unreachable and not one.opted_out] += 1
            if not cursor:
                shard = _FOLLOWING[shard]
        return Headcount(parts, so_far.looked_at + looked_at, shard, cursor)

    def first(self, segment: Segment, limit: int, now: datetime) -> Sequence[Client | IndexedClient]:
        """The first clients of a segment, up to `limit`, of so many as may be looked at."""
        if segment.filter is None:
            return self._some(segment, "", limit)[0]
        found: list[Client | IndexedClient] = []
        cursor, looked_at = "", 0
        while len(found) < limit and looked_at < AT_ONCE:
            clients, cursor = self._some(segment, cursor, _PAGE)
            looked_at += len(clients)
            found += self.members(segment, clients, now)
            if not cursor:
                break
        return found[:limit]

    def _some(self, segment: Segment, cursor: str, limit: int) -> tuple[Sequence[Client], str]:
        """Clients of all shards; of a file only its first ones."""
        if segment.recipients:
            return self._recipients.first(segment.recipients, limit), ""
        return self._clients.list(segment, cursor, limit)
