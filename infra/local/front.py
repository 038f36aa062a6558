"""One of the processes that answer HTTP: the app behind its front, on the socket that all of them share.

`python -m infra.local.front DESCRIPTOR` is given the listening socket by `make run`. It reads a line of JSON with its
environment, says `ready`, reads what troubles the emulator (`{"trouble": ""}` for nothing) until its standard input
ends, and then ends with the requests that it has. What it logs goes to standard error.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from app import app
from chalicelib import bootstrap
from chalicelib.clock import SystemClock
from infra.local.api_gateway import HttpFront
from infra.local.garbage import collect_seldom
from infra.local.web_server import WebServer
from infra.local.workers import log_as_the_service

_THREADS = 16


def main() -> None:
    """Answer until standard input ends."""
    line = sys.stdin.readline()
    if not line:
        return
    told = json.loads(line)
    os.environ.update(told["environment"])
    announcement = os.dup(1)
    os.dup2(2, 1)
    log_as_the_service()
    bootstrap.get_services().readiness.more.append(lambda: str(told["trouble"]))
    listener = socket.socket(fileno=int(sys.argv[1]))
    web = WebServer(HttpFront(app, SystemClock(), os.environ["AWS_REGION"]), listener, _THREADS)
    collect_seldom()
    web.start()
    os.write(announcement, b"ready\n")
    for line in sys.stdin:
        told.update(json.loads(line))
    web.stop()
    os._exit(0)


if __name__ == "__main__":
    main()
