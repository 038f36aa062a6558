"""The service behind its HTTP fronts: its event sources; those of the senders run elsewhere."""

from __future__ import annotations

import logging
import math
from typing import Any

from botocore.config import Config
from chalice.app import Chalice

from chalicelib import bootstrap
from chalicelib.aws_clients import plain_client
from chalicelib.clock import SystemClock
from chalicelib.config import Settings
from chalicelib.domain.heartbeats import HEARD_WITHIN, Worker
from chalicelib.observability import SERVICE
from chalicelib.observability import logger as service_logger
from infra import move_ledger
from infra.local.event_source_threads import EventSourceThreads
from infra.local.event_sources import EventSourceRunner
from infra.provision import provision

logger = logging.getLogger(__name__)

CONCURRENCY = {"dispatcher": 4, "sender": 4, "receiver": 1}  # of all processes
_LEAST_SENDERS = 2  # of a process: while one waits for the gateway, another one writes
SENDERS = frozenset({"sender"})
BATCH_BOUND = 5.0  # seconds that a running batch is given at the end
TICK_TIMEOUT = REPORT_TIMEOUT = RECEIVER_TIMEOUT = 60.0
# The window saves invocations, which cost nothing here; a short one still lets batches fill while messages pour in.
MAX_WINDOW = 0.02
# Receipts of a second are written together: those of a bucket with one write, and what they count with another.
WINDOWS = {"receiver": 1.0}


def aws_client(name: str) -> Any:
    """A client for the event sources, which repeat what fails themselves; AWS_ENDPOINT_URL says where."""
    config = Config(
        connect_timeout=2,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=64,
    )
    return plain_client(name, config)


def create_resources(settings: Settings) -> None:
    """Create the tables and queues at AWS_ENDPOINT_URL, and move data of earlier versions."""
    dynamodb = aws_client("dynamodb")
    provision(settings, dynamodb, aws_client("sqs"))
    move_ledger.move(settings, dynamodb, service_logger.info)


def event_sources(
    app: Chalice, settings: Settings, clock: SystemClock, only: frozenset[str], sender_processes: int = 1
) -> EventSourceThreads:
    """The event sources of the functions named, as threads that have yet to start; senders are shared by processes."""
    timeouts = {
        "sender": settings.sender_timeout,
        "dispatcher": settings.dispatcher_timeout,
        "tick": TICK_TIMEOUT,
        "report": REPORT_TIMEOUT,
        "receiver": RECEIVER_TIMEOUT,
    }
    runner = EventSourceRunner(
        app,
        aws_client("sqs"),
        clock,
        timeouts=timeouts,
        concurrency=CONCURRENCY | {"sender": max(_LEAST_SENDERS, math.ceil(CONCURRENCY["sender"] / sender_processes))},
        max_window=MAX_WINDOW,
        windows=WINDOWS,
        visibility=visibility(settings),
        only=only,
    )
    return EventSourceThreads(runner, clock, beat)


def beat(source: str) -> None:
    """Report that an event source works, if it is one whose silence is reported."""
    if source in HEARD_WITHIN:
        bootstrap.get_services().heartbeats.beat(Worker(source))


def visibility(settings: Settings) -> dict[str, int]:
    """Seconds that received messages stay hidden, by function: what a killed sender had is seen again once its claims
    are over. The queue's own time is made for Lambda, which may keep messages long before a function gets them."""
    return {"sender": math.ceil(settings.claim_lease) + 1}


def log_as_the_service() -> None:
    """Records of the libraries and of this package take the form of the service's own."""
    root = logging.getLogger()
    root.handlers = [service_logger.registered_handler]
    logging.getLogger(SERVICE).propagate = False
    root.setLevel(logging.WARNING)


class Service:
    """Event sources of the app but the senders, started and stopped together."""

    def __init__(self, app: Chalice, settings: Settings) -> None:
        clock = SystemClock()
        others = frozenset(source.name for source in app.event_sources) - SENDERS
        self._event_sources = event_sources(app, settings, clock, others)

    def start(self) -> None:
        """Begin to poll and to tick; returns at once."""
        for worker in Worker:  # earlier heartbeats do not count, and all workers get time to start
            bootstrap.get_services().heartbeats.beat(worker)
        self._event_sources.start()

    def set_going(self, queues_lost: bool = True) -> None:
        """Continue the work of killed workers soon: what they worked on, or everything on lost queues."""
        self._event_sources.fire_soon("tick")
        bootstrap.get_services().feeder.restart_all(queues_lost)

    def stop(self) -> None:
        """Take nothing new. Batches that take more than a few seconds are abandoned; their messages come back."""
        if not self._event_sources.stop(BATCH_BOUND):
            logger.warning("a running batch was left, its messages come back when their visibility ends")
