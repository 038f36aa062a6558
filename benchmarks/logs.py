"""What functions write to their logs, counted by function while they are measured.

CloudWatch Logs bills the bytes of each line and 26 more (docs, "PutLogEvents", and the pricing page). Lambda adds three
lines of its own to every invocation, which are billed alike.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TextIO

from chalicelib.observability import logger

EVENT_BYTES = 26
# START, END and REPORT as the developer guide of Lambda shows them, with an id of 36 characters.
PLATFORM_BYTES = 77 + 47 + 157 + 3 * EVENT_BYTES
_METRICS_OFF = "POWERTOOLS_METRICS_DISABLED"


class LogMeter:
    """A stream that counts what is written to it, by function, and drops it."""

    def __init__(self, function: Callable[[], str]) -> None:
        self._function = function
        self.bytes: Counter[str] = Counter()

    def write(self, text: str) -> int:
        """Take what the logger, or a function that prints, writes."""
        if function := self._function():
            self.bytes[function] += len(text.encode()) + EVENT_BYTES * text.count("\n")
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


@contextlib.contextmanager
def counted(meter: LogMeter) -> Iterator[None]:
    """Let the service log to the meter as on AWS: from INFO on, with metrics."""
    handler = logger.registered_handler
    if not isinstance(handler, logging.StreamHandler):
        raise TypeError("the logger writes to no stream")
    level, disabled, metrics = logger.log_level, logging.root.manager.disable, os.environ.pop(_METRICS_OFF, None)
    stream, stdout = handler.setStream(meter), sys.stdout
    out: TextIO = meter  # type: ignore[assignment]
    sys.stdout = out
    named = logging.getLogger(logger.name)
    propagates, named.propagate = named.propagate, False
    logging.disable(logging.NOTSET)
    logger.setLevel("INFO")
    try:
        yield
    finally:
        sys.stdout = stdout
        handler.setStream(stream or stdout)
        logger.setLevel(level)
        named.propagate = propagates
        logging.disable(disabled)
        if metrics is not None:
            os.environ[_METRICS_OFF] = metrics
