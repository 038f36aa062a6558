"""How long `make run` takes until it is ready: from nothing, and where there is data already."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.main_job import make_run


def until_ready(data_dir: Path) -> float:
    """Seconds from the command to "Ready"; the service is ended again."""
    began = time.monotonic()
    with make_run(data_dir):
        return time.monotonic() - began
