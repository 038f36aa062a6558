"""The event-source runner with a real queue: what is deleted, what comes back, and what is invoked when."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from chalice.app import Chalice, Cron, Rate
from moto import mock_aws

from chalicelib.clock import SystemClock
from infra.local.event_source_threads import EventSourceThreads
from infra.local.event_sources import EventSourceRunner
from tests.support.clocks import START, FrozenClock

Answer = Callable[[dict[str, Any], Any], object]


class Function:
    """A Lambda function that notes its invocations and answers as told."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer
        self.__name__ = "function"
        self.batches: list[list[dict[str, Any]]] = []
        self.contexts: list[Any] = []

    def __call__(self, event: Any) -> object:
        self.batches.append(event.to_dict()["Records"])
        self.contexts.append(event.context)
        return self.answer(event.to_dict(), event.context) if self.answer else None

    @property
    def bodies(self) -> list[list[str]]:
        return [[record["body"] for record in batch] for batch in self.batches]


@pytest.fixture
def sqs() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("sqs", region_name="eu-west-1", aws_access_key_id="t", aws_secret_access_key="t")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FrozenClock:
    """The runner's clock, and the queue's: visibility ends when the test says so."""
    frozen = FrozenClock()
    monkeypatch.setattr("moto.sqs.models.unix_time", lambda: frozen.now().timestamp())
    monkeypatch.setattr("moto.sqs.models.unix_time_millis", lambda: frozen.now().timestamp() * 1000)
    return frozen


def _app(function: Callable[..., object], batch_size: int = 10, window: int = 0) -> Chalice:
    app = Chalice("app", configure_logs=False)
    app.on_sqs_message(queue="work", batch_size=batch_size, name="worker", maximum_batching_window_in_seconds=window)(
        function
    )
    return app


def _queue(sqs: Any, name: str = "work", **attributes: str) -> str:
    url: str = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "30", **attributes})["QueueUrl"]
    return url


def _send(sqs: Any, url: str, *bodies: str) -> None:
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)


def _left(sqs: Any, url: str, clock: FrozenClock) -> list[str]:
    """What comes back once its visibility has ended."""
    clock.sleep(31)
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return sorted(message["Body"] for message in answer.get("Messages", []))


def _failing(*bodies: str) -> Answer:
    def answer(event: dict[str, Any], _: Any) -> object:
        failed = [record["messageId"] for record in event["Records"] if record["body"] in bodies]
        return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}

    return answer


def test_handled_messages_are_deleted(sqs: Any, clock: FrozenClock) -> None:
    """Expects one invocation with the whole batch and an empty queue afterwards."""
    url = _queue(sqs)
    _send(sqs, url, "1", "2", "3")
    function = Function()
    assert EventSourceRunner(_app(function), sqs, clock).poll("worker") == 3
    assert [sorted(batch) for batch in function.bodies] == [["1", "2", "3"]]
    assert _left(sqs, url, clock) == []


def test_an_empty_queue_invokes_nothing(sqs: Any, clock: FrozenClock) -> None:
    """Expects no invocation without messages."""
    _queue(sqs)
    function = Function()
    assert EventSourceRunner(_app(function), sqs, clock).poll("worker") == 0
    assert function.batches == []


def test_only_failed_items_stay_on_the_queue(sqs: Any, clock: FrozenClock) -> None:
    """Expects the other messages of the batch to be deleted."""
    url = _queue(sqs)
    _send(sqs, url, "good", "bad", "fine")
    EventSourceRunner(_app(Function(_failing("bad"))), sqs, clock).poll("worker")
    assert _left(sqs, url, clock) == ["bad"]


@pytest.mark.parametrize("answer", ["done", {"batchItemFailures": [{"itemIdentifier": ""}]}])
def test_a_malformed_answer_keeps_the_whole_batch(sqs: Any, clock: FrozenClock, answer: object) -> None:
    """Expects nothing to be deleted."""
    url = _queue(sqs)
    _send(sqs, url, "1", "2")
    EventSourceRunner(_app(Function(lambda *_: answer)), sqs, clock).poll("worker")
    assert _left(sqs, url, clock) == ["1", "2"]


def test_an_exception_keeps_the_whole_batch(sqs: Any, clock: FrozenClock) -> None:
    """Expects nothing to be deleted and the runner to continue."""
    url = _queue(sqs)
    _send(sqs, url, "1", "2")
    runner = EventSourceRunner(_app(Function(lambda *_: 1 / 0)), sqs, clock)
    assert runner.poll("worker") == 2
    assert _left(sqs, url, clock) == ["1", "2"]


def test_a_function_that_ran_too_long_keeps_the_whole_batch(sqs: Any, clock: FrozenClock) -> None:
    """Expects an answer after the timeout to be ignored, as Lambda would have ended the function."""
    url = _queue(sqs)
    _send(sqs, url, "1")
    function = Function(lambda *_: clock.sleep(31))
    EventSourceRunner(_app(function), sqs, clock, timeouts={"worker": 30}).poll("worker")
    assert _left(sqs, url, clock) == ["1"]


def test_the_context_counts_down_on_the_injected_clock(sqs: Any, clock: FrozenClock) -> None:
    """Expects the remaining time to shrink as the clock moves, and each invocation to have its own request id."""
    url = _queue(sqs)
    remaining: list[int] = []

    def answer(_: dict[str, Any], context: Any) -> None:
        remaining.append(context.get_remaining_time_in_millis())
        clock.sleep(12.5)
        remaining.append(context.get_remaining_time_in_millis())

    function = Function(answer)
    runner = EventSourceRunner(_app(function), sqs, clock, timeouts={"worker": 30})
    for body in ("1", "2"):
        _send(sqs, url, body)
        runner.poll("worker")
    assert remaining == [30_000, 17_500] * 2
    assert len({context.aws_request_id for context in function.contexts}) == 2
    assert function.contexts[0].function_name == "app-local-worker"


def test_a_message_moves_to_the_dead_letter_queue_after_too_many_receives(sqs: Any, clock: FrozenClock) -> None:
    """Expects a message that always fails to be counted, and moved after the queue's maxReceiveCount."""
    dead = _queue(sqs, "dead")
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    url = _queue(sqs, RedrivePolicy=f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 3}}')
    _send(sqs, url, "poison")
    function = Function(_failing("poison"))
    runner = EventSourceRunner(_app(function), sqs, clock)
    for _ in range(5):
        runner.poll("worker")
        clock.sleep(31)
    counts = [record["attributes"]["ApproximateReceiveCount"] for batch in function.batches for record in batch]
    assert counts == ["1", "2", "3"]
    assert (_left(sqs, url, clock), _left(sqs, dead, clock)) == ([], ["poison"])


def test_a_batch_of_more_than_ten_is_gathered(sqs: Any, clock: FrozenClock) -> None:
    """Expects 25 messages in one invocation, deleted in groups, without waiting once the batch is full."""
    url = _queue(sqs)
    _send(sqs, url, *(str(n) for n in range(30)))
    function = Function()
    EventSourceRunner(_app(function, batch_size=25, window=5), sqs, clock).poll("worker")
    assert [len(batch) for batch in function.batches] == [25]
    assert clock.now() == START
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    counts = (attributes["ApproximateNumberOfMessages"], attributes["ApproximateNumberOfMessagesNotVisible"])
    assert counts == ("5", "0")


def test_a_batch_that_is_not_full_waits_for_the_window(sqs: Any, clock: FrozenClock) -> None:
    """Expects it to be handed over when the window is over, not before."""
    url = _queue(sqs)
    _send(sqs, url, "1")
    function = Function()
    EventSourceRunner(_app(function, batch_size=25, window=2), sqs, clock).poll("worker")
    assert function.bodies == [["1"]]
    assert clock.now() == START + timedelta(seconds=2)


def test_the_window_of_one_function_can_have_its_own_cap(sqs: Any, clock: FrozenClock) -> None:
    """Expects a receive at once and after each fifth of the window, after the one that found a message."""
    url = _queue(sqs)
    _send(sqs, url, "1")
    calls: list[Any] = []

    class Noting(FlakyQueue):
        def receive_message(self, **request: Any) -> Any:
            calls.append(request)
            return self._sqs.receive_message(**request)

    app = _app(Function(), batch_size=25, window=5)
    runner = EventSourceRunner(app, Noting(sqs, 0, False), clock, max_window=0, windows={"worker": 2.0})
    runner.poll("worker")
    assert clock.now() == START + timedelta(seconds=2)
    assert len(calls) == 1 + 6


def test_the_window_can_be_capped(sqs: Any, clock: FrozenClock) -> None:
    """Expects no wait at all with a cap of 0."""
    url = _queue(sqs)
    _send(sqs, url, "1")
    EventSourceRunner(_app(Function(), batch_size=25, window=2), sqs, clock, max_window=0).poll("worker")
    assert clock.now() == START


class FlakyQueue:
    """An SQS client whose DeleteMessageBatch refuses certain messages so many times."""

    def __init__(self, sqs: Any, refusals: int, sender_fault: bool) -> None:
        self._sqs = sqs
        self._refusals = refusals
        self._sender_fault = sender_fault
        self.deletes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sqs, name)

    def delete_message_batch(self, **request: Any) -> Any:
        self.deletes += 1
        if self.deletes > self._refusals:
            return self._sqs.delete_message_batch(**request)
        refused = request["Entries"][0]
        answer = {}
        if request["Entries"][1:]:
            answer = self._sqs.delete_message_batch(QueueUrl=request["QueueUrl"], Entries=request["Entries"][1:])
        failure = {"Id": refused["Id"], "Code": "InternalError", "SenderFault": self._sender_fault}
        return {"Successful": answer.get("Successful", []), "Failed": [failure]}


@pytest.mark.parametrize(
    ("refusals", "sender_fault", "deletes", "left"),
    [(2, False, 3, 0), (100, False, 4, 1), (100, True, 1, 1)],
    ids=["comes right", "gives up", "not worth repeating"],
)
def test_a_partial_delete_is_repeated_a_few_times(
    sqs: Any, clock: FrozenClock, refusals: int, sender_fault: bool, deletes: int, left: int
) -> None:
    """Expects only what was refused to be tried again, but not what was refused because of the request itself."""
    url = _queue(sqs)
    _send(sqs, url, "1", "2", "3")
    flaky = FlakyQueue(sqs, refusals, sender_fault)
    EventSourceRunner(_app(Function()), flaky, clock).poll("worker")
    assert (flaky.deletes, len(_left(sqs, url, clock))) == (deletes, left)


def test_received_messages_survive_a_failing_receive(sqs: Any, clock: FrozenClock) -> None:
    """Expects the messages to be handled although a later receive for the same batch fails."""
    url = _queue(sqs)
    _send(sqs, url, "1")
    calls = []

    class Failing(FlakyQueue):
        def receive_message(self, **request: Any) -> Any:
            calls.append(request)
            if len(calls) > 1:
                raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
            return self._sqs.receive_message(**request)

    function = Function()
    EventSourceRunner(_app(function, batch_size=20, window=1), Failing(sqs, 0, False), clock).poll("worker")
    assert function.bodies == [["1"]]


def test_a_rate_fires_at_the_start_and_then_regularly(sqs: Any, clock: FrozenClock) -> None:
    """Expects EventBridge's event at the start and each minute, and a single one for several that were missed."""
    app = Chalice("app", configure_logs=False)
    events: list[dict[str, Any]] = []
    app.schedule(Rate(1, unit=Rate.MINUTES), name="tick")(lambda event: events.append(event.to_dict()))
    runner = EventSourceRunner(app, sqs, clock)
    fired = []
    for seconds in (0, 30, 30, 1, 59, 200, 10, 30):
        clock.sleep(seconds)
        fired.append(runner.run_once())
    assert fired == [1, 0, 1, 0, 1, 1, 0, 1]
    assert (events[0]["source"], events[0]["detail-type"]) == ("aws.events", "Scheduled Event")
    assert [event["time"][11:] for event in events] == ["09:00:00Z", "09:01:00Z", "09:02:00Z", "09:05:20Z", "09:06:00Z"]


def test_a_failing_schedule_fires_again(sqs: Any, clock: FrozenClock) -> None:
    """Expects an exception to affect only its own firing."""
    app = Chalice("app", configure_logs=False)
    app.schedule(Cron(0, "*", "*", "*", "?", "*"), name="hourly")(lambda event: 1 / 0)
    runner = EventSourceRunner(app, sqs, clock)
    assert runner.run_once() == 1
    clock.sleep(3600)
    assert runner.due_schedules(clock.now()) == ["hourly"]


def test_a_schedule_does_not_wait_for_a_clock_that_was_set_back(sqs: Any, clock: FrozenClock) -> None:
    """Expects a schedule of one minute to fire within the minute, though its next time was an hour later."""
    app = Chalice("app", configure_logs=False)
    app.schedule(Rate(1, unit=Rate.MINUTES), name="tick")(lambda event: None)
    runner = EventSourceRunner(app, sqs, clock)
    assert runner.run_once() == 1
    assert runner.due_schedules(clock.now() - timedelta(hours=1)) == ["tick"]


def test_a_runner_can_be_limited_to_some_sources(sqs: Any, clock: FrozenClock) -> None:
    """Expects the other sources of the app to be left alone."""
    app = _app(Function())
    app.schedule(Rate(1, unit=Rate.MINUTES), name="tick")(lambda event: None)
    runner = EventSourceRunner(app, sqs, clock, only=frozenset({"worker"}), concurrency={"worker": 7})
    assert (list(runner.sources), list(runner.schedules)) == (["worker"], [])
    assert runner.sources["worker"].concurrency == 7


def test_threads_handle_messages_and_stop(sqs: Any) -> None:
    """Expects a message sent meanwhile to be handled, a schedule to fire, and all threads to end at a stop."""
    url = _queue(sqs)
    handled, ticked = threading.Event(), threading.Event()
    app = _app(lambda event: handled.set())
    app.schedule(Rate(1, unit=Rate.MINUTES), name="tick")(lambda event: ticked.set())
    clock = SystemClock()
    threads = EventSourceThreads(EventSourceRunner(app, sqs, clock), clock)
    threads.start()
    _send(sqs, url, "1")
    assert handled.wait(10)
    assert ticked.wait(10)
    assert threads.stop(10)


def test_a_source_sends_heartbeats_while_all_its_pollers_have_long_batches(sqs: Any) -> None:
    """Expects heartbeats from the start, though no poller comes back, until a batch exceeds its time."""
    _send(sqs, _queue(sqs), "1")
    working, go_on, beats = threading.Event(), threading.Event(), threading.Semaphore(0)

    def work(event: object) -> None:
        working.set()
        go_on.wait(30)

    clock = SystemClock()
    runner = EventSourceRunner(_app(work), sqs, clock, concurrency={"worker": 1}, timeouts={"worker": 2})
    threads = EventSourceThreads(runner, clock, lambda source: beats.release(), beat_every=0.05)
    threads.start()
    assert working.wait(10)
    while beats.acquire(blocking=False):
        pass
    assert all(beats.acquire(timeout=5) for _ in range(3))  # while it works
    for _ in range(200):  # more than one poller may tell of that has hung for longer than it may
        if not beats.acquire(timeout=1):
            break
    else:
        pytest.fail("a poller that hangs is still told of as one that works")
    go_on.set()
    assert threads.stop(10)


def test_threads_survive_a_queue_that_does_not_exist(sqs: Any) -> None:
    """Expects a failing poll to be repeated until the queue exists."""
    handled = threading.Event()
    clock = SystemClock()
    threads = EventSourceThreads(EventSourceRunner(_app(lambda event: handled.set()), sqs, clock), clock)
    threads.start()
    _send(sqs, _queue(sqs), "1")
    assert handled.wait(10)
    assert threads.stop(10)
