"""Senders in a process of their own, as they are on AWS: sending then takes no time from API and dispatcher.

`python -m infra.local.senders` reads a line of JSON, its environment and how many such processes there are, says
`ready`, and ends when its standard input does. What it logs goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys

from chalicelib import bootstrap
from chalicelib.clock import SystemClock
from chalicelib.config import Settings
from infra.local.garbage import collect_seldom
from infra.local.workers import BATCH_BOUND, SENDERS, event_sources, log_as_the_service


def main() -> None:
    """Send until standard input ends; a running batch may take a few seconds more."""
    line = sys.stdin.readline()
    if not line:
        return
    told = json.loads(line)
    os.environ.update(told["environment"])
    announcement = os.dup(1)
    os.dup2(2, 1)
    log_as_the_service()

    from app import app

    bootstrap.get_services()
    sources = event_sources(app, Settings.from_environment(), SystemClock(), SENDERS, told["processes"])
    collect_seldom()
    sources.start()
    os.write(announcement, b"ready\n")
    sys.stdin.read()
    sources.stop(BATCH_BOUND)
    os._exit(0)


if __name__ == "__main__":
    main()
