"""Receipts and replies of the sandbox gateway: some seconds after a message was taken, the service is told what became
of it, and what somebody wrote back.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from chalicelib.domain.deliveries import RECEIPTS_PATH, REPLIES_PATH
from chalicelib.gateways.sandbox import played_receipt, played_reply

logger = logging.getLogger(__name__)
_AFTER = (1.0, 4.0)  # seconds from a message to its receipt
_EVERY = 0.5
_AT_ONCE = 500  # that are told at a time
_WAITING = 200_000  # the rest is never told, as of a gateway with too much to do
_HERE = frozenset({"127.0.0.1", "localhost"})


class Receipts:
    """Calls the addresses that messages came with; only those of this machine."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, str, dict[str, Any]]] = []  # when, a number, where to, what
        self._number = 0
        self._teller: asyncio.Task[None] | None = None
        self._session = requests.Session()
        self._session.trust_env = False

    def promise(self, url: str, phone: int) -> None:
        """Tell this address in some seconds what became of a message to a number, and what is written back, if so."""
        about, text = played_receipt(f"+{phone}"), played_reply(f"+{phone}")
        parts = urlsplit(url)
        message_id = parse_qs(parts.query).get("message_id", [""])[0]
        if parts.hostname not in _HERE or not message_id or len(self._due) >= _WAITING:
            return
        place = url.partition("?")[0]
        if about is not None:
            self._add(0, place, {**about, "message_id": message_id, "phone": phone, "parts": 1})
        if text:
            reply = {"id": message_id, "message_id": message_id, "phone": phone, "text": text}
            self._add(_AFTER[1], place.replace(RECEIPTS_PATH, REPLIES_PATH, 1), reply)
        if self._due and (self._teller is None or self._teller.done()):
            self._teller = asyncio.get_running_loop().create_task(self._tell())

    def _add(self, after: float, place: str, told: dict[str, Any]) -> None:
        self._number += 1
        when = time.monotonic() + after + random.uniform(*_AFTER)  # noqa: S311
        heapq.heappush(self._due, (when, self._number, place, told))

    async def _tell(self) -> None:
        while self._due:
            await asyncio.sleep(_EVERY)
            calls: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
            now, at = time.monotonic(), datetime.now(UTC).isoformat()
            while self._due and self._due[0][0] <= now and sum(map(len, calls.values())) < _AT_ONCE:
                _, _, url, told = heapq.heappop(self._due)
                calls[url].append({**told, "at": at})
            for url, all_told in calls.items():
                await asyncio.to_thread(self._post, url, all_told)

    def _post(self, url: str, told: list[dict[str, Any]]) -> None:
        """Both kinds have their name in the address and around the list."""
        kind = "replies" if REPLIES_PATH in url else "receipts"
        try:
            self._session.post(url, json={kind: told}, timeout=10)
        except requests.RequestException as error:
            logger.warning("%s not told: %s", kind, type(error).__name__)
