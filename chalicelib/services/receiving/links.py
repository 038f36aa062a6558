"""The addresses that gateways call with receipts and replies, each with a secret of its own.

The secret follows from the installation's key (docs/decisions/0009-the-key-of-client-ids.md), so nobody has to make or
keep it, and the secret of one gateway does not reveal that of another.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import blake2b

from ...config import Settings
from ...domain.deliveries import RECEIPTS_PATH, REPLIES_PATH


class ReceiptLinks:
    """Makes the addresses. `key` is called for the first one, because it reads a table."""

    def __init__(self, settings: Settings, key: Callable[[], bytes]) -> None:
        self._on = settings.gateway_receipts
        self._base = (settings.receipt_url or settings.public_url).rstrip("/")
        self._key = key
        self._secrets: dict[str, str] = {}

    @property
    def on(self) -> bool:
        """Whether receipts are switched on."""
        return self._on

    def url(self, gateway: str) -> str:
        """The address for a gateway's receipts; "" if they are switched off, or the service's own address is not known.

        Raises Unavailable if the key cannot be read.
        """
        return f"{self._base}{RECEIPTS_PATH}/{gateway}/{self.secret(gateway)}" if self._on and self._base else ""

    def reply_url(self, gateway: str) -> str:
        """The address for replies, which has the same secret; "" if there is none for receipts."""
        return self.url(gateway).replace(RECEIPTS_PATH, REPLIES_PATH, 1)

    def url_for(self, gateway: str, message_id: str) -> str:
        """The address for one message, so that its id comes back with the receipt."""
        url = self.url(gateway)
        return f"{url}?message_id={message_id}" if url else ""

    def secret(self, gateway: str) -> str:
        """The secret of a gateway: 160 bits in 40 characters. Raises Unavailable if the key cannot be read."""
        if gateway not in self._secrets:
            digest = blake2b(gateway.encode(), digest_size=20, key=self._key(), person=b"ms-receipts")
            self._secrets[gateway] = digest.hexdigest()
        return self._secrets[gateway]

    def knows(self, gateway: str, secret: str) -> bool:
        """Whether this is the gateway's secret. Raises Unavailable if the key cannot be read."""
        return hmac.compare_digest(self.secret(gateway).encode(), secret.encode())
