"""How long each function takes to import everything it needs: `make cold` starts a new process for each measurement."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import table
from chalicelib.config import DEFAULT_PREFIX

ROOT = Path(__file__).parents[1]
FUNCTIONS = ("api", "tick", "report", "dispatcher", "sender")
LOOKS = 15  # the fastest counts, because other work on the machine only adds to it
_IMPORTED = re.compile(r"^import time: +(\d+) \|", re.MULTILINE)
_CLIENTS = "import time; began = time.perf_counter(); app.workers.get_services(); print(time.perf_counter() - began)"


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Milliseconds to import, modules imported, and milliseconds to make the services and AWS clients after that."""

    import_ms: float
    modules: int
    services_ms: float


def look(function: str) -> ColdStart:
    """One start of a function, in a process with Lambda's environment only."""
    environment = {
        "AWS_LAMBDA_FUNCTION_NAME": f"{DEFAULT_PREFIX}-{function}",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "GATEWAY": "sandbox",
        "PATH": os.environ.get("PATH", ""),
    }
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import app; {_CLIENTS}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    imported = [int(found) for found in _IMPORTED.findall(done.stderr)]
    return ColdStart(sum(imported) / 1000, len(imported), float(done.stdout) * 1000)


def measure(function: str, looks: int = LOOKS) -> ColdStart:
    """The fastest of some starts."""
    found = [look(function) for _ in range(looks)]
    return ColdStart(min(one.import_ms for one in found), found[0].modules, min(one.services_ms for one in found))


def report(found: Mapping[str, ColdStart]) -> str:
    """The table of docs/performance.md."""
    rows = [(name, f"{one.import_ms:.0f}", str(one.modules), f"{one.services_ms:.0f}") for name, one in found.items()]
    return table(("function", "import, ms", "modules", "services and AWS clients, ms"), rows)


def main() -> int:
    """Print the table."""
    sys.stdout.write(report({name: measure(name) for name in FUNCTIONS}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
