"""Layouts: how a mailing's ledger is divided into shards and buckets, and until when it is kept, from META."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..clock import Backoff
from ..domain.buckets import UNDIVIDED, Division
from ..domain.errors import Unavailable
from ..domain.mailings import Mailing
from .bucket_rows import Place
from .dynamodb import Item, read_items
from .mailing_rows import META
from .moments import from_ms
from .tables import Tables

_KNOWN = 1000  # mailings
_GOOD_FOR = timedelta(seconds=60)  # the end may be moved; the division never changes


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a ledger. It is `final` after the mailing's launch; before, there are no messages.

    `expires_at` is seconds since 1970, 0 for never.
    """

    division: Division
    expires_at: int
    read_at: datetime
    final: bool = False


class LedgerLayouts:
    """The layouts of mailings, as last read. May be used by several threads at once."""

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff, retain: timedelta) -> None:
        self._table = tables.mailings.Meta.table_name
        self._dynamodb = dynamodb
        self._backoff = backoff
        self._retain = retain
        self._known: OrderedDict[str, Layout] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, mailing_ids: Iterable[str], *, fresh: bool = False) -> dict[str, Layout]:
        """The layout of each mailing. With `fresh`, none is older than a minute, unless the table does not answer.

        Raises Unavailable if one cannot be read, or if a ledger still has the form of an earlier version.
        """
        now = self._backoff.clock.now()
        wanted = dict.fromkeys(mailing_ids)
        with self._lock:
            known = {one: self._known[one] for one in wanted if one in self._known}
        found = {one: layout for one, layout in known.items() if not fresh or abs(now - layout.read_at) <= _GOOD_FOR}
        missing = [one for one in wanted if one not in found]
        if not missing:
            return found
        try:
            read = self._read(missing, now)
        except Unavailable:
            if len(known) < len(wanted):
                raise
            return known
        with self._lock:
            self._known |= {one: layout for one, layout in read.items() if layout.final}
            while len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        none = Layout(UNDIVIDED, 0, now)  # there is no such mailing, or it is being removed
        return found | {one: read.get(one, none) for one in missing}

    def note(self, mailing: Mailing) -> None:
        """Know the layout of a mailing that was launched this moment."""
        layout = Layout(mailing.division, _expiry(mailing.end_at, self._retain), self._backoff.clock.now(), final=True)
        with self._lock:
            self._known[mailing.mailing_id] = layout

    def _read(self, mailing_ids: list[str], now: datetime) -> dict[str, Layout]:
        keys: list[Item] = [{"mailing_id": {"S": one}, "part": {"S": META}} for one in mailing_ids]
        names = ("mailing_id", "shards", "buckets", "launched_at", "end_at")
        items = read_items(self._dynamodb, self._backoff, self._table, keys, consistent=True, names=names)
        return {item["mailing_id"]["S"]: self._layout(item, now) for item in items if "end_at" in item}

    def _layout(self, item: Item, now: datetime) -> Layout:
        if "buckets" not in item and "launched_at" in item:
            raise Unavailable("messages: the ledger is of an older version; run `python -m infra.move_ledger`")
        shards, buckets = (float(item[name]["N"]) if name in item else None for name in ("shards", "buckets"))
        return Layout(Division.kept(shards, buckets), expiry_of(item, self._retain), now, final="launched_at" in item)


def expiry_of(meta: Item, retain: timedelta) -> int:
    """When the ledger of a mailing may be deleted, in seconds since 1970; 0 for never."""
    return _expiry(from_ms(float(meta["end_at"]["N"])), retain)


def _expiry(end_at: datetime, retain: timedelta) -> int:
    return int((end_at + retain).timestamp()) if retain else 0


def place_of(mailing_id: str, client_id: str, layout: Layout) -> Place:
    """The place of a mailing's message to a client."""
    return Place(mailing_id, layout.division.shard_of(client_id), layout.division.bucket_of(client_id))
