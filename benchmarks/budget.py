"""The budget: what a mailing may use, in figures that can be counted and are the same on every machine.

A test compares; `python -m benchmarks.budget` writes the file again, to be committed with the change that needs it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks import mailing
from benchmarks.mailing import Measured

FILE = Path(__file__).with_name("budget.json")
CLIENTS = 1500
_FIGURES = ("write_units", "read_units", "queue_requests")

Counted = dict[str, dict[str, float]]


def counted(measured: Measured) -> Counted:
    """Calls and units of each function, for a mailing of so many clients."""
    found: Counted = {}
    for (who, _, _), line in measured.meter.lines.items():
        figures = found.setdefault(who or "api", dict.fromkeys(("calls", *_FIGURES), 0.0))
        figures["calls"] += line.calls
        for name in _FIGURES:
            figures[name] += getattr(line.usage, name)
    for name, function in measured.functions.items():
        found[name]["invocations"] = function.invocations
    return found


def read() -> Counted:
    """The budget."""
    budget: Counted = json.loads(FILE.read_text(encoding="utf-8"))
    return budget


def excess(found: Counted, budget: Counted) -> list[str]:
    """What exceeds the budget, in words; [] if nothing does."""
    return [
        f"{who} {name}: {used:g}, and may be {budget.get(who, {}).get(name, 0):g}"
        for who, figures in found.items()
        for name, used in figures.items()
        if used > budget.get(who, {}).get(name, 0)
    ]


def main() -> int:
    """Measure, and save the result as the budget."""
    mailing.quiet()
    found = counted(mailing.run(CLIENTS))
    sys.stdout.write("\n".join(excess(found, read() if FILE.exists() else {})) + "\n")
    FILE.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
