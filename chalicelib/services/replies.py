"""Replies, for people to read."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from ..clock import SystemClock
from ..domain.gateway_routes import ONLY
from ..domain.replies import Reply
from ..storage.call_totals import CallTotalsRepository
from ..storage.replies import ReplyRepository


class ReplyService:
    """Read replies."""

    def __init__(self, replies: ReplyRepository, totals: CallTotalsRepository, clock: SystemClock) -> None:
        self._replies = replies
        self._totals = totals
        self._clock = clock

    def list(self, client_id: str, place: str, limit: int) -> tuple[Sequence[Reply], str]:
        """A page of replies, the newest first, of one client if an id is given; and the next place."""
        return self._replies.page(client_id, place, limit, self._clock.now())

    def total(self) -> int:
        """How many replies came so far, including those that are not kept any more."""
        return self._totals.read()[ONLY].by_fate["kept"]

    def latest_of(self, client_id: str, most: int) -> builtins.list[Reply]:
        """The newest replies of a client."""
        return [*self.list(client_id, "", most)[0]]
