"""Runs the Chalice app's schedules and SQS sources as EventBridge and Lambda's event source mapping would.

`EventSourceRunner` is the whole behaviour in single steps on an injected clock: `poll` is one receive, invoke and
delete; `fire_due_schedules` is one look at the schedules. Threads drive it (infra/local/event_source_threads.py); the
fault tests and the simulation drive it by hand.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import Chalice, EventSourceHandler, ScheduledEventConfig, SQSEventConfig

from chalicelib.clock import SystemClock
from infra.local.batches import MalformedAnswerError, Message, failed_ids, sqs_event
from infra.local.lambda_context import ACCOUNT, LambdaContext
from infra.local.schedules import Expression, parse

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 60.0  # Chalice's own default for a function
DEFAULT_CONCURRENCY = 4
RECEIVE_LIMIT = 10  # messages in one ReceiveMessage or DeleteMessageBatch
_LINGER = 0.02
_LOOKS = 5  # for more messages within a window that is long
_DELETE_TRIES = 4
_DELETE_PAUSE = 0.1


@dataclass(slots=True)
class QueueSource:
    """One SQS event source; times in seconds. `receiving` lets one thread at a time gather a batch.

    `visibility` is how long what is received stays hidden, None for as long as the queue says.
    """

    name: str
    queue: str
    batch_size: int
    window: float
    concurrency: int
    visibility: int | None = None
    url: str = ""
    arn: str = ""
    receiving: threading.Lock = field(default_factory=threading.Lock, repr=False)


@dataclass(slots=True)
class Schedule:
    """One schedule, and when it fires next (None until it has been looked at for the first time)."""

    name: str
    expression: Expression
    next_at: datetime | None = None


class EventSourceRunner:
    """The app's event sources, one step at a time.

    `timeouts` and `concurrency` are by function name; an unnamed one gets the default. `max_window` caps the batching
    windows: an emulator on the same machine gains nothing from a long one. `visibility` is how many seconds what is
    received stays hidden, by function name, where it is not for the queue to say. `only` keeps the named sources alone.
    """

    def __init__(
        self,
        app: Chalice,
        sqs: Any,
        clock: SystemClock,
        *,
        timeouts: Mapping[str, float] | None = None,
        concurrency: Mapping[str, int] | None = None,
        max_window: float | None = None,
        windows: Mapping[str, float] | None = None,
        visibility: Mapping[str, int] | None = None,
        only: frozenset[str] | None = None,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._app = app
        self._sqs = sqs
        self._clock = clock
        self._timeouts = dict(timeouts or {})
        self._new_id = new_id
        self._closed = False
        self._region: str = sqs.meta.region_name
        names = [one for one in app.event_sources if only is None or one.name in only]
        self.sources = {
            one.name: _queue_source(one, concurrency or {}, (windows or {}).get(one.name, max_window), visibility or {})
            for one in names
            if isinstance(one, SQSEventConfig)
        }
        self.schedules = {
            one.name: Schedule(one.name, parse(_expression(one)))
            for one in names
            if isinstance(one, ScheduledEventConfig)
        }
        self._looked_at = clock.now()
        for name in (*self.sources, *self.schedules):
            _share_middleware(app.handler_map[name])

    def run_once(self) -> int:
        """Fire what is due and poll every source once without waiting. Returns the number of handled events."""
        return self.fire_due_schedules() + sum(self.poll(name) for name in self.sources)

    def close(self) -> None:
        """Receive nothing more; running work continues."""
        self._closed = True

    # --- queues

    def poll(self, name: str, wait: int = 0) -> int:
        """Receive, invoke and delete once for a source. Returns the number of received messages.

        `wait` is how many seconds the receive may wait for a first message. Errors of the queue are raised.
        """
        source = self.sources[name]
        with source.receiving:
            messages = [] if self._closed else self._gathered(source, wait)
        if messages:
            self._delete(source, self._handled(source, messages))
        return len(messages)

    def _gathered(self, source: QueueSource, wait: int) -> list[Message]:
        """A full batch, or what came within the window; a window of 0 ends with the first empty receive."""
        messages = self._receive(source, source.batch_size, wait)
        if not messages:
            return messages
        deadline = self._clock.now() + timedelta(seconds=source.window)
        while len(messages) < source.batch_size:
            try:
                more = self._receive(source, source.batch_size - len(messages), 0)
            except (BotoCoreError, ClientError) as error:
                # What is in hand is invisible to everyone else: it is handled, not dropped.
                logger.warning("%s: receive failed within a batch: %s", source.name, error)
                break
            messages += more
            left = (deadline - self._clock.now()).total_seconds()
            if left <= 0 and not more:
                break
            if not more:
                self._clock.sleep(min(max(_LINGER, source.window / _LOOKS), left))
        return messages

    def _receive(self, source: QueueSource, limit: int, wait: int) -> list[Message]:
        self._look_up(source)
        hidden = {} if source.visibility is None else {"VisibilityTimeout": source.visibility}
        answer = self._sqs.receive_message(
            **hidden,
            QueueUrl=source.url,
            MaxNumberOfMessages=min(limit, RECEIVE_LIMIT),
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages: list[Message] = answer.get("Messages", [])
        return messages

    def _look_up(self, source: QueueSource) -> None:
        if not source.url:
            url = self._sqs.get_queue_url(QueueName=source.queue)["QueueUrl"]
            attributes = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
            source.arn = attributes["QueueArn"]
            source.url = url

    def _handled(self, source: QueueSource, messages: list[Message]) -> list[Message]:
        """Invoke the function.

        Returns the messages that it handled; the others come back when their visibility ends.
        """
        context = self._context(source.name)
        try:
            answer = self._app.handler_map[source.name](sqs_event(messages, source.arn), context)
            if context.timed_out(self._clock.now()):
                raise TimeoutError(f"ran longer than its {self.timeout(source.name)} s")
            failed = failed_ids(answer, messages)
        except MalformedAnswerError as error:
            logger.error("%s: malformed answer, the whole batch counts as failed: %s", source.name, error)
            return []
        except Exception:
            # Lambda's boundary: whatever a function raises fails its batch and nothing else.
            logger.exception("%s: failed with a batch of %d", source.name, len(messages))
            return []
        return [message for message in messages if message["MessageId"] not in failed]

    def _delete(self, source: QueueSource, messages: list[Message]) -> None:
        for start in range(0, len(messages), RECEIVE_LIMIT):
            handles = {str(n): one["ReceiptHandle"] for n, one in enumerate(messages[start : start + RECEIVE_LIMIT])}
            for attempt in range(_DELETE_TRIES):
                if attempt:
                    self._clock.sleep(_DELETE_PAUSE * 2**attempt)
                handles = self._delete_group(source, handles)
                if not handles:
                    break
            else:
                logger.error("%s: %d handled messages could not be deleted", source.name, len(handles))

    def _delete_group(self, source: QueueSource, handles: dict[str, str]) -> dict[str, str]:
        """Delete up to ten. Returns those to try again; unknown handles are gone, or were received again."""
        entries = [{"Id": key, "ReceiptHandle": handle} for key, handle in handles.items()]
        try:
            failures = self._sqs.delete_message_batch(QueueUrl=source.url, Entries=entries).get("Failed", [])
        except (BotoCoreError, ClientError) as error:
            logger.warning("%s: delete failed: %s", source.name, error)
            return handles
        again = {one["Id"] for one in failures if not one.get("SenderFault")}
        if len(again) < len(failures):
            logger.warning("%s: %d messages were no longer ours to delete", source.name, len(failures) - len(again))
        return {key: handle for key, handle in handles.items() if key in again}

    # --- schedules

    def due_schedules(self, now: datetime) -> list[str]:
        """The names of the schedules that fire at `now`; they start again if the clock was set back."""
        set_back = now < self._looked_at
        self._looked_at = now
        for schedule in self.schedules.values():
            if schedule.next_at is None or set_back:
                schedule.next_at = schedule.expression.first(now)
        return [one.name for one in self.schedules.values() if one.next_at is not None and one.next_at <= now]

    def fire_due_schedules(self) -> int:
        """Invoke what is due, each once however many firings were missed. Returns how many."""
        due = self.due_schedules(self._clock.now())
        for name in due:
            self.fire(name)
        return len(due)

    def fire(self, name: str) -> None:
        """Invoke a scheduled function and set its next time. Errors are logged, as Lambda does."""
        schedule = self.schedules[name]
        now = self._clock.now()
        at = min(schedule.next_at or now, now)
        following = schedule.expression.after(at)
        while following <= now:
            following = schedule.expression.after(following)
        schedule.next_at = following
        context = self._context(name)
        try:
            self._app.handler_map[name](self._scheduled_event(name, now), context)
        except Exception:
            logger.exception("%s: the scheduled function failed", name)

    def _scheduled_event(self, name: str, now: datetime) -> dict[str, Any]:
        return {
            "version": "0",
            "id": self._new_id(),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT,
            "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._region,
            "resources": [f"arn:aws:events:{self._region}:{ACCOUNT}:rule/{self._function(name)}"],
            "detail": {},
        }

    # --- functions

    def _context(self, name: str) -> LambdaContext:
        return LambdaContext(
            function_name=self._function(name),
            request_id=self._new_id(),
            timeout=self.timeout(name),
            clock=self._clock,
            region=self._region,
        )

    def _function(self, name: str) -> str:
        return f"{self._app.app_name}-local-{name}"

    def timeout(self, name: str) -> float:
        """How many seconds an invocation of a function may take."""
        return self._timeouts.get(name, DEFAULT_TIMEOUT)


def _queue_source(
    config: SQSEventConfig, concurrency: Mapping[str, int], max_window: float | None, visibility: Mapping[str, int]
) -> QueueSource:
    window = float(config.maximum_batching_window_in_seconds or 0)
    return QueueSource(
        name=config.name,
        queue=config.queue or str(config.queue_arn).rsplit(":", 1)[-1],
        batch_size=config.batch_size,
        window=window if max_window is None else min(window, max_window),
        concurrency=concurrency.get(config.name) or config.maximum_concurrency or DEFAULT_CONCURRENCY,
        visibility=visibility.get(config.name),
    )


def _expression(config: ScheduledEventConfig) -> str:
    expression = config.schedule_expression
    return expression if isinstance(expression, str) else expression.to_string()


def _share_middleware(handler: object) -> None:
    """Chalice keeps an event handler's middleware as a generator, which the first of several threads would use up."""
    if isinstance(handler, EventSourceHandler):
        handler.middleware_handlers = list(handler.middleware_handlers)
