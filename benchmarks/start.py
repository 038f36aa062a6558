"""How long `make run` takes until it is ready: from nothing, and where there is data already."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.main_job import ROOT


def until_ready(data_dir: Path) -> float:
    """Seconds from the command to "Ready"; the service is ended again."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GATEWAY_"))}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local"],
        cwd=ROOT,
        env={**kept, "PORT": "0", "DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        for line in process.stdout or ():
            if line.startswith("Ready: "):
                return time.monotonic() - began
        raise RuntimeError(f"never ready: exit code {process.wait()}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
