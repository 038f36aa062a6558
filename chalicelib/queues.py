"""The queues: forms of their messages, sending in batches, delays. The data itself is in DynamoDB."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .clock import Backoff
from .domain.buckets import Division
from .domain.client_ids import is_client_id
from .domain.errors import Malformed, Unavailable
from .domain.faults import Fault
from .domain.messages import HINT_SIZE, MessageKey

BATCH = 10  # the limit of one call of SQS
MAX_DELAY = 900  # seconds; SQS delays no longer
MAX_VISIBILITY = 43200  # seconds
TRIES = 6
# The error of SQS if too many messages are in flight (API reference, ReceiveMessage). botocore does not retry after it,
# as it does after other errors of this kind.
_OVER_LIMIT = "OverLimit"
BALANCE = "balance"  # the same for asking for a balance
TRIAL = "trial"  # the key of an event for a test message, instead of records of a queue
_LOOKS = 3  # looks without a message before a queue counts as empty


@dataclass(frozen=True, slots=True)
class Hint:
    """Says that messages of a mailing may have to be delivered; the ledger says whether that is still true."""

    mailing_id: str
    client_ids: tuple[str, ...]

    @classmethod
    def parse(cls, body: str) -> Hint:
        """The hint in a queue message's body. Raises Malformed if there is none."""
        try:
            values = json.loads(body)
            mailing_id, client_ids = values["mailing_id"], values["client_ids"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Malformed(Fault.NOT_A_HINT, what=type(error).__name__) from error
        if not (isinstance(mailing_id, str) and mailing_id.isalnum() and isinstance(client_ids, list)):
            raise Malformed(Fault.NOT_A_HINT, what="the mailing's id must be a text, the clients' a list")
        if not 1 <= len(client_ids) <= HINT_SIZE:
            raise Malformed(Fault.NOT_A_HINT, what=f"it must be for 1 to {HINT_SIZE} clients")
        if not all(isinstance(one, str) and is_client_id(one) for one in client_ids):
            raise Malformed(Fault.NOT_A_HINT, what="a client's id is none")
        return cls(mailing_id, tuple(client_ids))

    @classmethod
    def of(cls, key: MessageKey) -> Hint:
        """The hint for one message."""
        return cls(key[0], (key[1],))

    def body(self, **more: str) -> str:
        return json.dumps(asdict(self) | more, separators=(",", ":"))


def hints_for(mailing_id: str, client_ids: Iterable[str], division: Division) -> list[str]:
    """The bodies of the hints for the messages to these clients.

    As few as possible without dividing a bucket of the ledger, which is written faster by one sender.
    """
    hints: list[list[str]] = []
    for bucket in division.by_bucket(client_ids):
        if hints and len(hints[-1]) + len(bucket) <= HINT_SIZE:
            hints[-1] += bucket
        else:
            hints += (bucket[start : start + HINT_SIZE] for start in range(0, len(bucket), HINT_SIZE))
    return [Hint(mailing_id, tuple(client_ids)).body() for client_ids in hints]


# AWS stops a chain of functions and queues after 16 hops (docs: "Lambda recursive loop detection"); the tick starts a
# new one every minute.
HOPS = 10


class UnitKind(StrEnum):
    """The kinds of the dispatcher's work."""

    LAUNCH = "launch"  # start a mailing, if its revision is still the same
    EXPAND = "expand"  # write the rows of one shard
    FEED = "feed"  # fill the send queue for some mailings, or all that run
    RESUME = "resume"  # feed a mailing from its start
    COMPLETE = "complete"  # recount a mailing, and end it if nothing is open
    STALLED = "stalled"  # the same, and feed it again if something is open
    RECOUNT = "recount"  # the same as COMPLETE, when it is quiet, because its counts are doubtful
    REOPEN = "reopen"  # put ended messages back
    PURGE = "purge"  # remove a deleted mailing's ledger
    IMPORT = "import"  # write the clients of an import
    CHECK = "check"  # check some of the mailings under way
    RECEIPTS = "receipts"  # count a mailing again that receipts have changed
    ZONES = "zones"  # let waiting messages follow their clients' zones


# Earlier names, which the queue of a data directory may still contain.
_FORMER_KINDS = {"pump": UnitKind.FEED, "settle": UnitKind.COMPLETE}


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of the dispatcher's work.

    COMPLETE, STALLED, RECOUNT and REOPEN are for all shards, or in a large mailing for one shard in a lap (see Walk).
    `hop` counts the units of a chain, in which each sent the next. A CHECK is for the mailings in `mailing_ids`, a
    `slice` of all. A FEED is for the mailings in `mailing_ids`, or for all running ones if that is empty. A LAUNCH is
    for `mailing_id` at its `revision`, or for the mailings in `mailing_ids` whatever their revisions.
    """

    kind: UnitKind
    mailing_id: str = ""
    shard: str = ""
    revision: int = 0
    hop: int = 0
    import_id: str = ""
    lap: int = 0
    mailing_ids: tuple[str, ...] = ()
    slice: str = ""

    @classmethod
    def parse(cls, body: str) -> Unit:
        """The unit in a queue message's body. Raises Malformed if there is none."""
        try:
            fields = json.loads(body)
            kind = fields["kind"]
            unit = cls(**fields | {"kind": UnitKind(_FORMER_KINDS.get(kind, kind))})
            unit = replace(unit, mailing_ids=tuple(unit.mailing_ids))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Malformed(Fault.NOT_A_UNIT, what=type(error).__name__) from error
        texts = (unit.mailing_id, unit.shard, unit.import_id, unit.slice, *unit.mailing_ids)
        numbers = (unit.revision, unit.hop, unit.lap)
        if not (all(isinstance(text, str) for text in texts) and all(isinstance(number, int) for number in numbers)):
            raise Malformed(Fault.NOT_A_UNIT, what="a field has the wrong type")
        return unit

    def body(self) -> str:
        return json.dumps({name: value for name, value in asdict(self).items() if value}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """A received message. `receipt` is valid until the message is received again."""

    item: str
    receipt: str
    body: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """About how many messages a queue holds: visible, delayed, and in flight."""

    visible: int
    delayed: int
    in_flight: int


class Queue:
    """One SQS queue."""

    def __init__(self, sqs: Any, name: str, backoff: Backoff) -> None:
        self._sqs = sqs
        self._name = name
        self._backoff = backoff
        self._known_url = ""

    @property
    def name(self) -> str:
        return self._name

    @property
    def _url(self) -> str:
        if not self._known_url:
            self._known_url = self._call("get_queue_url", QueueName=self._name)["QueueUrl"]
        return self._known_url

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        for tries in range(1, TRIES + 1):
            try:
                answer: dict[str, Any] = getattr(self._sqs, operation)(**arguments)
            except (ClientError, BotoCoreError) as error:
                over_limit = isinstance(error, ClientError) and error.response["Error"]["Code"] == _OVER_LIMIT
                if not over_limit or tries == TRIES:
                    raise Unavailable(f"{self._name}: {type(error).__name__}") from error
                self._backoff.wait(tries)
            else:
                return answer
        raise AssertionError("the last try answers or raises")

    def send(self, bodies: Sequence[str], delay: int = 0) -> None:
        """Send messages, visible after `delay` seconds.

        Raises Unavailable if SQS does not take all of them; some may then be on the queue.
        """
        self.send_each([(body, delay) for body in bodies])

    def send_each(self, delayed: Sequence[tuple[str, float]]) -> None:
        """Like `send`, each message with a delay of its own."""
        entries = [
            {"MessageBody": body, "DelaySeconds": max(0, min(MAX_DELAY, math.ceil(delay)))} for body, delay in delayed
        ]
        self._in_batches("send_message_batch", entries)

    def postpone(self, receipts: Sequence[tuple[str, float]]) -> None:
        """Hide received messages, given by receipt handle, for so many seconds each."""
        entries = [
            {"ReceiptHandle": handle, "VisibilityTimeout": max(0, min(MAX_VISIBILITY, math.ceil(seconds)))}
            for handle, seconds in receipts
        ]
        self._in_batches("change_message_visibility_batch", entries)

    def _in_batches(self, operation: str, entries: list[dict[str, Any]]) -> None:
        for start in range(0, len(entries), BATCH):
            left = {str(place): entry for place, entry in enumerate(entries[start : start + BATCH])}
            for tries in range(1, TRIES + 1):
                batch = [{"Id": place, **entry} for place, entry in left.items()]
                # `Failed` comes with HTTP 200.
                failed = self._call(operation, QueueUrl=self._url, Entries=batch).get("Failed", [])
                left = {entry["Id"]: left[entry["Id"]] for entry in failed if not entry.get("SenderFault")}
                if len(left) < len(failed):
                    raise Unavailable(f"{self._name}: {operation}: {failed[0].get('Code')}")
                if not left:
                    break
                if tries == TRIES:
                    raise Unavailable(f"{self._name}: {operation}: {failed[0].get('Code')}")
                self._backoff.wait(tries)

    def receive(self, limit: int, hide: int) -> list[QueueMessage]:
        """Up to `limit` messages, hidden from others for so many seconds."""
        found: dict[str, QueueMessage] = {}
        in_vain = 0  # one look asks only some of the servers of a queue, and may find the same messages again
        while len(found) < limit and in_vain < _LOOKS:
            answer = self._call(
                "receive_message",
                QueueUrl=self._url,
                MaxNumberOfMessages=min(BATCH, limit - len(found)),
                VisibilityTimeout=hide,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
            known = len(found)
            for one in answer.get("Messages", []):
                sent_at = datetime.fromtimestamp(int(one["Attributes"]["SentTimestamp"]) / 1000, UTC)
                found[one["MessageId"]] = QueueMessage(one["MessageId"], one["ReceiptHandle"], one["Body"], sent_at)
            in_vain = 0 if len(found) > known else in_vain + 1
        return list(found.values())

    def delete(self, receipts: Sequence[str]) -> None:
        """Delete received messages, given by receipt handle."""
        self._in_batches("delete_message_batch", [{"ReceiptHandle": receipt} for receipt in receipts])

    def depths(self) -> QueueDepth:
        """How much the queue holds."""
        names = ["", "Delayed", "NotVisible"]
        attributes = [f"ApproximateNumberOfMessages{name}" for name in names]
        found = self._call("get_queue_attributes", QueueUrl=self._url, AttributeNames=attributes)["Attributes"]
        return QueueDepth(*(int(found[attribute]) for attribute in attributes))

    def depth(self) -> int:
        """About how many messages can be received now or soon: visible and delayed ones."""
        depths = self.depths()
        return depths.visible + depths.delayed
