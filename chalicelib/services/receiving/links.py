"""The addresses at which gateways tell what became of messages, each with a secret of its own.

The secret follows from the installation's key (docs/decisions/0009-the-key-of-client-ids.md), so that there is none to
make, to keep or to lose, and whoever knows that of one gateway does not know another's.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import blake2b

from ...config import Settings
from ...domain.deliveries import RECEIPTS_PATH, REPLIES_PATH


class ReceiptLinks:
    """Makes the addresses. `key` is asked for at the first one, for it stands in a table."""

    def __init__(self, settings: Settings, key: Callable[[], bytes]) -> None:
        self._on = settings.gateway_receipts
        self._base = (settings.receipt_url or settings.public_url).rstrip("/")
        self._key = key
        self._secrets: dict[str, str] = {}

    @property
    def on(self) -> bool:
        """Whether receipts are wanted."""
        return self._on

    def url(self, gateway: str) -> str:
        """The address for a gateway's receipts; "" if none are wanted, or the service's own address is not known.

        Raises Unavailable if the key cannot be read.
        """
        return f"{self._base}{RECEIPTS_PATH}/{gateway}/{self.secret(gateway)}" if self._on and self._base else ""

    def reply_url(self, gateway: str) -> str:
        """The address for what people write back, which has the same secret; "" if there is none for receipts."""
        return self.url(gateway).replace(RECEIPTS_PATH, REPLIES_PATH, 1)

    def url_for(self, gateway: str, message_id: str) -> str:
        """The address for one message, whose id comes back with the receipt."""
        url = self.url(gateway)
        return f"{url}?message_id={message_id}" if url else ""

    def secret(self, gateway: str) -> str:
        """Of 160 bits, as 40 characters. Raises Unavailable if the key cannot be read."""
        if gateway not in self._secrets:
            digest = blake2b(gateway.encode(), digest_size=20, key=self._key(), person=b"ms-receipts")
            self._secrets[gateway] = digest.hexdigest()
        return self._secrets[gateway]

    def knows(self, gateway: str, secret: str) -> bool:
        """Whether this is the gateway's secret. Raises Unavailable if the key cannot be read."""
        return hmac.compare_digest(self.secret(gateway).encode(), secret.encode())
