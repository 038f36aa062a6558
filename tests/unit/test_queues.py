"""The queues: envelopes read from anything, batches of ten, partial failures, delays."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.clock import Backoff
from chalicelib.domain.buckets import UNDIVIDED
from chalicelib.domain.errors import Malformed, Unavailable
from chalicelib.queues import TRIES, Hint, Queue, Unit, UnitKind, hints_for
from tests.factories import MessageFactory
from tests.support.clocks import CountingClock

BUSY = {"Code": "ThrottlingException", "SenderFault": False}
WRONG = {"Code": "InvalidMessageContents", "SenderFault": True}


@dataclass
class RecordingSqs:
    """SQS as botocore's client has it: takes every entry but those that `fails` names, by body or handle and try."""

    fails: Callable[[str, int], dict[str, Any] | None] = lambda body, nth: None
    batches: list[list[dict[str, Any]]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    tries: dict[str, int] = field(default_factory=dict)
    urls_asked: int = 0
    error: Exception | None = None
    over_limit: int = 0  # calls that it refuses since too many messages are in somebody's hands

    def get_queue_url(self, **request: str) -> dict[str, Any]:
        self.urls_asked += 1
        return {"QueueUrl": f"http://sqs.invalid/{request['QueueName']}"}

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        return self._take(request["QueueUrl"], request["Entries"], "MessageBody")

    def change_message_visibility_batch(self, **request: Any) -> dict[str, Any]:
        return self._take(request["QueueUrl"], request["Entries"], "ReceiptHandle")

    def get_queue_attributes(self, **request: Any) -> dict[str, Any]:
        depths = {"": "3", "Delayed": "40", "NotVisible": "500"}
        values = {f"ApproximateNumberOfMessages{name}": depth for name, depth in depths.items()}
        return {"Attributes": {name: values[name] for name in request["AttributeNames"]}}

    def _take(self, url: str, entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
        assert url == "http://sqs.invalid/q"
        if self.error:
            raise self.error
        if self.over_limit:
            self.over_limit -= 1
            raise ClientError({"Error": {"Code": "OverLimit", "Message": "too many in flight"}}, "SendMessageBatch")
        assert len({entry["Id"] for entry in entries}) == len(entries)
        self.batches.append(entries)
        failed = []
        for entry in entries:
            body = entry[name]
            self.tries[body] = self.tries.get(body, 0) + 1
            if reason := self.fails(body, self.tries[body]):
                failed.append({"Id": entry["Id"], **reason})
            else:
                self.taken.append({key: value for key, value in entry.items() if key != "Id"})
        return {"Successful": [], "Failed": failed} if failed else {"Successful": []}


def queue_on(sqs: RecordingSqs) -> tuple[Queue, CountingClock]:
    clock = CountingClock()
    return Queue(sqs, "q", Backoff(clock, random.Random(1))), clock


def bodies_of(sqs: RecordingSqs) -> list[str]:
    return sorted(entry["MessageBody"] for entry in sqs.taken)


# -- batches


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])])
def test_ten_messages_go_in_one_call(count: int, sizes: list[int]) -> None:
    """Each once, in order; for nothing there is no call, and the queue's address is asked for once."""
    sqs = RecordingSqs()
    queue, clock = queue_on(sqs)
    queue.send([f"{number:02d}" for number in range(count)])
    queue.send([])
    assert [len(batch) for batch in sqs.batches] == sizes
    assert [entry["MessageBody"] for entry in sqs.taken] == [f"{number:02d}" for number in range(count)]
    assert sqs.urls_asked == (1 if count else 0)
    assert clock.waits == []


def test_what_fails_is_sent_again_alone_after_a_wait() -> None:
    """SQS answers HTTP 200 and names what it did not take."""
    sqs = RecordingSqs(fails=lambda body, nth: BUSY if body in "bd" and nth <= 2 else None)
    queue, clock = queue_on(sqs)
    queue.send(list("abcd"))
    assert [[entry["MessageBody"] for entry in batch] for batch in sqs.batches] == [
        list("abcd"),
        ["b", "d"],
        ["b", "d"],
    ]
    assert bodies_of(sqs) == list("abcd")
    assert len(clock.waits) == 2
    assert all(0 < wait <= 0.05 * 2 ** (nth + 1) for nth, wait in enumerate(clock.waits))


def test_what_keeps_failing_is_an_error_in_the_end() -> None:
    """After six tries; the rest is on the queue."""
    sqs = RecordingSqs(fails=lambda body, nth: BUSY if body == "b" else None)
    queue, clock = queue_on(sqs)
    with pytest.raises(Unavailable, match="ThrottlingException"):
        queue.send(list("abc"))
    assert (sqs.tries["b"], len(clock.waits)) == (TRIES, TRIES - 1)
    assert bodies_of(sqs) == ["a", "c"]


@pytest.mark.parametrize("refused", [TRIES - 1, TRIES])
def test_a_queue_with_too_many_in_hand_is_asked_again(refused: int) -> None:
    """botocore gives up at once on OverLimit; as often as what fails by itself is tried, it is tried here."""
    sqs = RecordingSqs(over_limit=refused)
    queue, clock = queue_on(sqs)
    if refused < TRIES:
        queue.send(["a"])
        assert bodies_of(sqs) == ["a"]
    else:
        with pytest.raises(Unavailable):
            queue.send(["a"])
        assert bodies_of(sqs) == []
    assert len(clock.waits) == TRIES - 1


def test_what_sqs_will_never_take_is_an_error_at_once() -> None:
    """Another try would come to the same."""
    sqs = RecordingSqs(fails=lambda body, nth: WRONG if body == "b" else BUSY if body == "c" else None)
    queue, clock = queue_on(sqs)
    with pytest.raises(Unavailable):
        queue.send(list("abc"))
    assert (sqs.tries["b"], clock.waits) == (1, [])


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SendMessageBatch"),
        EndpointConnectionError(endpoint_url="http://sqs.invalid"),
    ],
)
def test_an_error_of_the_call_is_unavailable(error: Exception) -> None:
    """It names the queue, and keeps the cause."""
    queue, _ = queue_on(RecordingSqs(error=error))
    with pytest.raises(Unavailable, match=r"^q: ") as caught:
        queue.send(["a"])
    assert caught.value.__cause__ is error


# -- delays


@pytest.mark.parametrize(("wanted", "given_"), [(-5, 0), (0, 0), (1, 1), (900, 900), (901, 900), (10**9, 900)])
def test_a_message_is_delayed_by_fifteen_minutes_at_most(wanted: int, given_: int) -> None:
    """SQS refuses a longer one, and a negative one."""
    sqs = RecordingSqs()
    queue_on(sqs)[0].send(["a"], wanted)
    assert sqs.taken == [{"MessageBody": "a", "DelaySeconds": given_}]


@pytest.mark.parametrize(("wanted", "given_"), [(-5.0, 0), (0.0, 0), (0.2, 1), (3.0, 3), (3.01, 4), (1e6, 43200)])
def test_a_received_message_is_put_off_in_whole_seconds(wanted: float, given_: int) -> None:
    """Rounded up, so that it never comes too early; twelve hours at most."""
    sqs = RecordingSqs()
    queue_on(sqs)[0].postpone([("handle", wanted)])
    assert sqs.taken == [{"ReceiptHandle": "handle", "VisibilityTimeout": given_}]


def test_each_received_message_is_put_off_for_its_own_time() -> None:
    """Ten in one call; what fails is tried again."""
    sqs = RecordingSqs(fails=lambda handle, nth: BUSY if handle == "h3" and nth == 1 else None)
    queue_on(sqs)[0].postpone([(f"h{number}", number) for number in range(11)])
    assert {entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in sqs.taken} == {
        f"h{number}": number for number in range(11)
    }
    assert [len(batch) for batch in sqs.batches] == [10, 1, 1]


def test_the_depth_counts_what_is_there_and_what_is_delayed() -> None:
    """Not what is being worked on."""
    assert queue_on(RecordingSqs())[0].depth() == 43


# -- envelopes

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["kind", "mailing_id"]), inner),
    max_leaves=8,
)
NO_ENVELOPES = ["", "{", "null", "[]", "{}", '"text"', "7", "NaN", "[" * 100_000, "1" * 5000, "\x00", "{}{}"]


def test_a_hint_is_read_as_it_was_written() -> None:
    """Also with a reason beside it, as a dead letter has one."""
    message = MessageFactory()
    hint = Hint.of(message.key)
    assert Hint.parse(hint.body()) == hint == Hint.parse(hint.body(reason="HTTP 400"))


def test_hints_are_as_few_as_can_be() -> None:
    """Everyone is in exactly one, and ten of the largest fit into one call of SQS many times over."""
    clients = [f"{'abcdef'[number // 8]}{number:015d}".translate(str.maketrans("0189", "wxyz")) for number in range(48)]
    found = [Hint.parse(body) for body in hints_for("A", clients, UNDIVIDED)]
    assert [len(hint.client_ids) for hint in found] == [16, 16, 16]
    assert sorted(client for hint in found for client in hint.client_ids) == sorted(clients)
    assert max(len(body) for body in hints_for("A" * 26, clients, UNDIVIDED)) < 400
    assert hints_for("A", [], UNDIVIDED) == []


def test_a_bucket_is_in_one_hint_if_it_fits() -> None:
    """A sender writes it as a whole; what is more than a hint may hold is in as few as can be."""
    nine, eight, many = (
        [f"{letter}{number:015d}".translate(str.maketrans("0189", "wxyz")) for number in range(count)]
        for letter, count in (("a", 9), ("b", 8), ("c", 20))
    )
    sizes = [len(Hint.parse(body).client_ids) for body in hints_for("A", [*many, *eight, *nine], UNDIVIDED)]
    assert sizes == [9, 8, 16, 4]


@pytest.mark.parametrize(
    "body",
    [
        *NO_ENVELOPES,
        '{"mailing_id": "A"}',
        '{"mailing_id": 7, "client_ids": ["aaaaaaaaaaaaaaaa"]}',
        '{"mailing_id": "", "client_ids": ["aaaaaaaaaaaaaaaa"]}',
        '{"mailing_id": "A#00", "client_ids": ["aaaaaaaaaaaaaaaa"]}',
        '{"mailing_id": "A", "client_ids": 7}',
        '{"mailing_id": "A", "client_ids": null}',
        '{"mailing_id": "A", "client_ids": "aaaaaaaaaaaaaaaa"}',
        '{"mailing_id": "A", "client_ids": []}',
        '{"mailing_id": "A", "client_ids": {"aaaaaaaaaaaaaaaa": 1}}',
        '{"mailing_id": "A", "client_ids": ["aaaaaaaaaaaaaaaa", null]}',
        '{"mailing_id": "A", "client_ids": ["aaaaaaaaaaaaaaaa", ""]}',
        '{"mailing_id": "A", "client_ids": ["AAAAAAAAAAAAAAAA"]}',
        json.dumps({"mailing_id": "A", "client_ids": ["aaaaaaaaaaaaaaaa"] * 17}),
    ],
)
def test_an_invalid_hint_is_malformed(body: str) -> None:
    """Anybody with access can put anything on a queue; no key is made of it."""
    with pytest.raises(Malformed):
        Hint.parse(body)


@given(junk)
def test_any_json_is_an_envelope_or_malformed(value: Any) -> None:
    """Nothing else is raised: one bad record does not stop a batch."""
    for envelope in (Hint, Unit):
        try:
            made = envelope.parse(json.dumps(value))
        except Malformed:
            continue
        assert envelope.parse(made.body()) == made


@given(st.text())
def test_any_text_is_an_envelope_or_malformed(text: str) -> None:
    """Also if it is no JSON."""
    for envelope in (Hint, Unit):
        try:
            envelope.parse(text)
        except Malformed:
            continue


@pytest.mark.parametrize(
    "unit",
    [
        Unit(UnitKind.FEED),
        Unit(UnitKind.LAUNCH, "A", revision=3),
        Unit(UnitKind.EXPAND, "A", "07", hop=2),
        Unit(UnitKind.PURGE, "A", "15", 1, 9),
    ],
)
def test_a_unit_is_read_as_it_was_written(unit: Unit) -> None:
    """What is empty is left out."""
    assert Unit.parse(unit.body()) == unit
    assert '""' not in unit.body()
    assert ":0" not in unit.body()


@pytest.mark.parametrize(
    "body",
    [
        *NO_ENVELOPES,
        '{"mailing_id": "A"}',
        '{"kind": 7}',
        '{"kind": ""}',
        '{"kind": "feed", "shard": null}',
        '{"kind": "launch", "revision": "3"}',
        '{"kind": "launch", "revision": 3.5}',
        '{"kind": "launch", "revision": NaN}',
        '{"kind": "launch", "hop": []}',
        '{"kind": "launch", "other": 1}',
    ],
)
def test_an_invalid_unit_is_malformed(body: str) -> None:
    """A further field comes from another release, and its meaning is unknown."""
    with pytest.raises(Malformed):
        Unit.parse(body)
