"""Replies as people read them."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from ..clock import SystemClock
from ..domain.replies import Reply
from ..storage.replies import ReplyRepository


class ReplyService:
    """Read replies."""

    def __init__(self, replies: ReplyRepository, clock: SystemClock) -> None:
        self._replies = replies
        self._clock = clock

    def list(self, client_id: str, place: str, limit: int) -> tuple[Sequence[Reply], str]:
        """A page of replies, the newest first, of a client if an id is given; and where the next begins."""
        return self._replies.page(client_id, place, limit, self._clock.now())

    def latest_of(self, client_id: str, most: int) -> builtins.list[Reply]:
        """The newest of a client."""
        return [*self.list(client_id, "", most)[0]]
