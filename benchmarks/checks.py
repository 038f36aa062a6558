"""`python -m benchmarks.checks`: CPU time of checking a file of clients, with good numbers or bad ones."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from chalicelib.domain.imports import read_clients

ROWS = 100_000
KINDS: dict[str, Callable[[int], str]] = {
    "Russian mobiles": lambda number: f"+7916{number:07}",
    "German landlines": lambda number: f"+4930{20_000_000 + number}",
    "Russian numbers that do not exist": lambda number: f"+7000{number:07}",
    "American numbers that do not exist": lambda number: f"+1555{number:07}",
    "numbers without a country": lambda number: f"8 (000) {number // 10_000:03}-{number % 10_000:04}",
    "numbers that are too short": lambda number: f"+7916{number:05}",
    "numbers with letters": lambda number: f"+7916abc{number:05}",
}


def measure(kind: str, rows: int) -> float:
    """Seconds of CPU time for a file of so many rows with such numbers."""
    text = "phone_number,tag\n" + "".join(f"{KINDS[kind](number)},x\n" for number in range(rows))
    began = time.process_time()
    read_clients(text, datetime.now(UTC))
    return time.process_time() - began


def main() -> int:
    """Print a line for each kind of numbers, after the number plans are loaded."""
    for kind in KINDS:
        measure(kind, 100)
    for kind in KINDS:
        sys.stdout.write(f"{kind}: {measure(kind, ROWS):.1f} s of CPU time for {ROWS:,} rows\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
