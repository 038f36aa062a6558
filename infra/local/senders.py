"""The senders in their own process, as on AWS, so that sending takes no time from API and dispatcher.

`python -m infra.local.senders` reads its environment as a line of JSON, says `ready`, and ends when its standard input
does. What it logs goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys

from chalicelib import bootstrap
from chalicelib.clock import SystemClock
from chalicelib.config import Settings
from infra.local.workers import BATCH_BOUND, SENDERS, event_sources, log_as_the_service


def main() -> None:
    """Send until standard input ends; a running batch may take a few seconds more."""
    line = sys.stdin.readline()
    if not line:
        return
    os.environ.update(json.loads(line))
    announcement = os.dup(1)
    os.dup2(2, 1)
    log_as_the_service()

    from app import app

    bootstrap.get_services()
    sources = event_sources(app, Settings.from_environment(), SystemClock(), SENDERS)
    sources.start()
    os.write(announcement, b"ready\n")
    sys.stdin.read()
    sources.stop(BATCH_BOUND)
    os._exit(0)


if __name__ == "__main__":
    main()
