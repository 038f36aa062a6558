"""What the receiver takes from the receipt queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...domain.deliveries import Receipt
    from ...domain.replies import Inbound


@dataclass(frozen=True, slots=True)
class ReceiptItem:
    """A message of the receipt queue."""

    item: str
    body: str
    receive_count: int = 1


@dataclass(frozen=True, slots=True)
class ReadItem:
    """What an item contains: receipts, each with how often it came too early so far, or replies."""

    receipts: Sequence[tuple[Receipt, int]] = ()
    replies: Sequence[Inbound] = ()
