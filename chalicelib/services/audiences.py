"""Audiences: the clients of a segment. Without a filter counters know how many; with one, pages of clients are read."""

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
AT_ONCE = 5000  # clients that one request reads
_FOLLOWING = dict(zip(SHARDS, (*SHARDS[1:], ""), strict=True))
_RULE_OF_THREE = 3  # if none of n has something, 3/n of all may have it (Hanley and Lippman-Hand, 1983)


@dataclass(frozen=True, slots=True)
class Headcount:
    """The clients of a filtered segment as far as they are counted, and where to continue. `shard` is "" at the end."""

    parts: Counter[tuple[str, str, bool, bool]] = field(default_factory=Counter)  # operator, zone, opted out, lost
    looked_at: int = 0
    shard: str = SHARDS[0]
    cursor: str = ""

    def counts(self) -> list[SegmentCount]:
        """The counts in the form for a segment without a filter, except for the tags."""
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
        """Up to `limit` clients of a shard in the order of ids, before the filter, and the next cursor.

        People in a file of recipients have the fields of their client in the directory and the values in the file.
        """
        if segment.recipients:
            return self._recipients.walk(segment.recipients, shard, cursor, limit)
        return self._clients.walk(segment, shard, cursor, limit)

    def total(self, segment: Segment) -> int:
        """How many clients a segment has at most, before the filter. It is 0 only if there are none."""
        if segment.recipients:
            file = self._recipients.find(segment.recipients)
            return file.count if file else 0
        return self._clients.count(segment)

    def members(
        self, segment: Segment, found: Sequence[Client | IndexedClient], now: datetime
    ) -> Sequence[Client | IndexedClient]:
        """The clients, found by tags and operators, that also match the segment's filter."""
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
        """About how many clients a segment has; rather too many than too few.

        With a filter a sample is read: ids are evenly spread, so the first clients are as good as any.
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
        """Whether a segment is known to have no clients. If there are too many to read, it is not known."""
        if segment.filter is None:
            return not self.total(segment)
        headcount = self.count(segment, Headcount(), now)
        return not headcount.parts and not headcount.shard

    def count(self, segment: Segment, so_far: Headcount, now: datetime) -> Headcount:
        """Continue counting a segment: reads about 5,000 more of its clients."""
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
        """The first clients of a segment, up to `limit`, among those that one request reads."""
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
        """Clients of all shards; only the first ones of a file."""
        if segment.recipients:
            return self._recipients.first(segment.recipients, limit), ""
        return self._clients.list(segment, cursor, limit)
