"""`make localstack`: a LocalStack on this machine without Docker, to deploy into and to look at; Ctrl-C ends it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from types import FrameType

from infra.localstack.emulator import LOCALSTACK, Emulator, EmulatorError

PORT = 4566


class _Ended(Exception):
    """A signal came."""


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signal.signal calls it
    raise _Ended


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _told(url: str) -> str:
    return f"""{LOCALSTACK.title}: {url}
  Deploy   AWS_ENDPOINT_URL={url} make deploy
  Look     AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test aws --endpoint-url {url} --region us-east-1 sqs list-queues
What is deployed into it ends with it. Ctrl-C ends it."""


def main() -> int:
    """Serve until a signal comes. Returns 1, with the reason printed, if it cannot be started."""
    text = os.environ.get("PORT", "").strip() or str(PORT)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        sys.stderr.write(f"PORT: not a port: {text!r}\n")
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    emulator = Emulator(LOCALSTACK, Path(mkdtemp(prefix="localstack-")), int(text))
    try:
        emulator.start()
        _say(_told(emulator.url))
        while emulator.alive():
            time.sleep(0.5)
        sys.stderr.write(f"{LOCALSTACK.title} has ended by itself:\n{emulator.log.read_text()[-2000:]}\n")
    except _Ended:
        _say(f"\nEnding {LOCALSTACK.title} ...")
        return 0
    except EmulatorError as error:
        sys.stderr.write(f"{error}\n")
    finally:
        emulator.stop()
    return 1


if __name__ == "__main__":
    sys.exit(main())
