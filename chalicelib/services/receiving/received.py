"""What the receiver takes from the receipt queue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReceiptItem:
    """A message of the receipt queue."""

    item: str
    body: str
    receive_count: int = 1
