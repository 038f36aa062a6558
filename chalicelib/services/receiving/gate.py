"""The gate: puts receipts and replies on the receipt queue as they came, and answers the gateway.

Reading them takes time, and a gateway that waits too long calls again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace

from ...clock import SystemClock
from ...domain.errors import NotFound
from ...domain.faults import Fault
from ...gateways.base import Callback, Gateway
from ...queues import Queue
from .links import ReceiptLinks


class ReceiptGate:
    """Takes callbacks from gateways."""

    def __init__(
        self, gateways: Mapping[str, Gateway], links: ReceiptLinks, receipt_queue: Queue, clock: SystemClock
    ) -> None:
        self._gateways = gateways
        self._links = links
        self._receipt_queue = receipt_queue
        self._clock = clock

    def take(self, callback: Callback, secret: str) -> str:
        """Put a callback on the queue. Returns the answer that the gateway expects.

        Raises NotFound if no such gateway has receipts or the secret is wrong, and Unavailable if the queue does not
        take it, so that the gateway calls again.
        """
        return self._take("callback", callback, secret).receipt_reply

    def take_reply(self, callback: Callback, secret: str) -> tuple[str, str]:
        """The same for a reply. Returns the body of the answer and its media type."""
        return self._take("reply", callback, secret).reply_answer

    def _take(self, kind: str, callback: Callback, secret: str) -> Gateway:
        if not self._links.on or callback.gateway not in self._gateways:
            raise NotFound(Fault.NO_SUCH_RECEIPTS)
        if not self._links.knows(callback.gateway, secret):
            raise NotFound(Fault.NO_SUCH_RECEIPTS)
        came = replace(callback, received_at=self._clock.now().timestamp())
        self._receipt_queue.send([json.dumps({kind: asdict(came)}, separators=(",", ":"))])
        return self._gateways[callback.gateway]
