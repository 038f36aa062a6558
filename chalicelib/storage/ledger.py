"""The ledger: one row for each client of each mailing, written in batches, each write on its own condition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from ..clock import Backoff
from ..domain.clients import SHARDS
from ..domain.errors import NotFound, Unavailable
from ..domain.messages import (
    IN_TROUBLE,
    Attempt,
    Message,
    MessageKey,
    MessageStatus,
    Outcome,
    ledger_key_for,
    parse_message_id,
)
from ..domain.tallies import Tally, counters_of
from .models import Tables, from_ms, to_ms
from .retries import TRANSIENT, TRIES, Item, read_items, translated

_CALLS = 3  # each tried again by botocore too
_STATEMENTS = 25  # BatchExecuteStatement takes no more
# What a row always has, and what it is counted by.
_COUNTED_BY = (
    "ledger_key",
    "client_id",
    "status",
    "revision",
    "phone_number",
    "timezone",
    "created_at",
    "updated_at",
    "sent_at",
    "reason",
)


class Ledger:
    """Messages in DynamoDB.

    Rows are written with PartiQL in batches of 25: each statement has its own condition and its own answer and costs
    one write unit, where a transaction costs two and fails as a whole.
    """

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff) -> None:
        self._model = tables.messages
        self._table = tables.messages.Meta.table_name
        self._dynamodb = dynamodb
        self._backoff = backoff

    # -- writing

    def insert(self, messages: Sequence[Message]) -> list[bool]:
        """Add rows; False for each that was there already, which is left as it is."""
        statements = []
        for message in messages:
            values = _values(message)
            statements.append(
                {"Statement": _insert_text(self._table, tuple(values)), "Parameters": list(values.values())}
            )
        return [code is None for code in self._execute(statements, "DuplicateItem")]

    def update(self, changes: Sequence[tuple[Message, Message]]) -> list[bool]:
        """Put each second in the place of its first; False for each that is not as it was read any more.

        The second must have the next revision. A write whose answer was lost is recognised by reading it back.
        """
        statements = [_update_statement(self._table, old, new) for old, new in changes]
        done = [code is None for code in self._execute(statements, "ConditionalCheckFailed")]
        doubtful = [new for (_, new), applied in zip(changes, done, strict=True) if not applied]
        if doubtful:
            found = self.read([message.key for message in doubtful])
            for place, (_, new) in enumerate(changes):
                if not done[place]:
                    row = found.get(new.key)
                    done[place] = row is not None and (row.revision, row.claim, row.status) == (
                        new.revision,
                        new.claim,
                        new.status,
                    )
        return done

    def _execute(self, statements: list[dict[str, Any]], refusal: str) -> list[str | None]:
        """The refusal for each statement that met it, None for each that was carried out."""
        results: list[str | None] = [None] * len(statements)
        for start in range(0, len(statements), _STATEMENTS):
            left = list(range(start, min(start + _STATEMENTS, len(statements))))
            for tries in range(1, TRIES + 1):
                try:
                    with translated("messages"):
                        wanted = [statements[place] for place in left]
                        answer = self._dynamodb.batch_execute_statement(Statements=wanted)
                except Unavailable:
                    # Giving up here may mean that somebody is called twice: what was sent is not written down.
                    if tries >= _CALLS:
                        raise
                    self._backoff.wait(tries)
                    continue
                again = []
                for place, response in zip(left, answer["Responses"], strict=True):
                    code = response.get("Error", {}).get("Code")
                    if code in TRANSIENT:
                        again.append(place)
                    elif code not in (None, refusal):
                        raise Unavailable(f"messages: {code}: {response['Error'].get('Message', '')[:200]}")
                    results[place] = code
                left = again
                if not left:
                    break
                if tries == TRIES:
                    raise Unavailable("messages: DynamoDB is too busy")
                self._backoff.wait(tries)
        return results

    def delete_page(self, mailing_id: str, shard: str) -> bool:
        """Remove up to 500 rows of a shard; False once there are none."""
        with translated("messages"):
            rows = list(
                self._model.query(f"{mailing_id}#{shard}", limit=500, attributes_to_get=["ledger_key", "client_id"])
            )
            with self._model.batch_write() as batch:
                for row in rows:
                    batch.delete(row)
        return bool(rows)

    # -- reading

    def get(self, message_id: str) -> Message:
        """The message of that id; NotFound where there is none."""
        key = parse_message_id(message_id)
        found = self.read([key])
        if key not in found:
            raise NotFound(f"there is no message {message_id[:80]!r}")
        return found[key]

    def read(self, keys: Iterable[MessageKey], consistent: bool = True) -> dict[MessageKey, Message]:
        """The messages of those (mailing, client) that there are."""
        wanted: list[Item] = [
            {"ledger_key": {"S": ledger_key_for(mailing, client)}, "client_id": {"S": client}}
            for mailing, client in dict.fromkeys(keys)
        ]
        items = read_items(self._dynamodb, self._backoff, self._table, wanted, consistent=consistent)
        return {message.key: message for message in map(_message, items)}

    def page(self, mailing_id: str, shard: str, after: str, limit: int) -> tuple[list[Message], str]:
        """Up to `limit` rows of a shard after a client's id, and the last id; "" at the end of the shard."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "ledger_key = :key",
            "ExpressionAttributeValues": {":key": {"S": f"{mailing_id}#{shard}"}},
            "Limit": limit,
            "ConsistentRead": True,
        }
        if after:
            request["ExclusiveStartKey"] = {"ledger_key": {"S": f"{mailing_id}#{shard}"}, "client_id": {"S": after}}
        with translated("messages"):
            answer = self._dynamodb.query(**request)
        messages = [_message(item) for item in answer["Items"]]
        return messages, answer["LastEvaluatedKey"]["client_id"]["S"] if "LastEvaluatedKey" in answer else ""

    def trouble_page(self, mailing_id: str, after: str, limit: int) -> tuple[list[Message], str]:
        """Like `page`, for the messages of a mailing that failed or whose outcome is unknown, from their own index."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": "trouble",
            "KeyConditionExpression": "trouble_of = :key",
            "ExpressionAttributeValues": {":key": {"S": mailing_id}},
            "Limit": limit,
        }
        if after:
            request["ExclusiveStartKey"] = {
                "trouble_of": {"S": mailing_id},
                "client_id": {"S": after},
                "ledger_key": {"S": ledger_key_for(mailing_id, after)},
            }
        with translated("messages"):
            answer = self._dynamodb.query(**request)
        messages = [_message(item) for item in answer["Items"]]
        return messages, answer["LastEvaluatedKey"]["client_id"]["S"] if "LastEvaluatedKey" in answer else ""

    def due(
        self, mailing_id: str, shard: str, until: datetime, after: tuple[datetime, str] | None, limit: int
    ) -> list[tuple[datetime, str]]:
        """Up to `limit` parked messages of a shard that are due by then, as (when, client), the earliest first."""
        key = f"{mailing_id}#{shard}"
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": "parked",
            "KeyConditionExpression": "parked_in = :key AND due_at <= :until",
            "ExpressionAttributeValues": {":key": {"S": key}, ":until": {"N": str(to_ms(until))}},
            "Limit": limit,
        }
        if after:
            request["ExclusiveStartKey"] = {
                "parked_in": {"S": key},
                "due_at": {"N": str(to_ms(after[0]))},
                "ledger_key": {"S": key},
                "client_id": {"S": after[1]},
            }
        with translated("messages"):
            answer = self._dynamodb.query(**request)
        return [(from_ms(float(item["due_at"]["N"])), item["client_id"]["S"]) for item in answer["Items"]]

    def recount(self, mailing_id: str) -> Tally:
        """Every row of a mailing, counted; open ones by status. Reads its whole ledger, in pages of 1 MB."""
        counters: Counter[str] = Counter()
        sent: list[datetime] = []
        for shard in SHARDS:
            for row in self._outcomes(mailing_id, shard):
                counters.update(counters_of(row) or [str(row.status)])
                if row.sent_at:
                    sent = [min([row.sent_at, *sent]), max([row.sent_at, *sent])]
        return Tally(counters, *sent)

    def _outcomes(self, mailing_id: str, shard: str) -> Iterator[Message]:
        """The rows of a shard without their attempts, which make up most of their size."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "ledger_key = :key",
            "ExpressionAttributeValues": {":key": {"S": f"{mailing_id}#{shard}"}},
            "ExpressionAttributeNames": {f"#{place}": name for place, name in enumerate(_COUNTED_BY)},
            "ProjectionExpression": ", ".join(f"#{place}" for place in range(len(_COUNTED_BY))),
            "ConsistentRead": True,
        }
        while True:
            with translated("messages"):
                answer = self._dynamodb.query(**request)
            yield from map(_message, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _values(message: Message) -> Item:
    """The row as DynamoDB holds it; what is empty is left out, so that sparse indexes stay sparse."""
    values: Item = {
        "ledger_key": {"S": ledger_key_for(message.mailing_id, message.client_id)},
        "client_id": {"S": message.client_id},
        "status": {"S": str(message.status)},
        "revision": {"N": str(message.revision)},
        "phone_number": {"S": message.phone_number},
        "timezone": {"S": message.timezone},
        "created_at": {"N": str(to_ms(message.created_at))},
        "updated_at": {"N": str(to_ms(message.updated_at))},
    }
    if message.forgiven:
        values["forgiven"] = {"N": str(message.forgiven)}
    if message.hinted:
        values["hinted"] = {"BOOL": True}
    if message.attempts:
        values["attempts"] = {"L": [_attempt_value(attempt) for attempt in message.attempts]}
    for name, text in (("claim", message.claim), ("reason", message.reason)):
        if text:
            values[name] = {"S": text}
    for name in ("lease_until", "retry_at", "due_at", "sent_at"):
        moment: datetime | None = getattr(message, name)
        if moment is not None:
            values[name] = {"N": str(to_ms(moment))}
    if message.due_at is not None:
        values["parked_in"] = values["ledger_key"]
    if message.status in IN_TROUBLE:
        values["trouble_of"] = {"S": message.mailing_id}
    return values


def _attempt_value(attempt: Attempt) -> dict[str, Any]:
    value: dict[str, Any] = {
        "at": {"N": str(to_ms(attempt.at))},
        "ms": {"N": str(attempt.duration_ms)},
        "outcome": {"S": str(attempt.outcome)},
    }
    if attempt.reason:
        value["reason"] = {"S": attempt.reason}
    if attempt.http_status is not None:
        value["http"] = {"N": str(attempt.http_status)}
    return {"M": value}


def _attempt(value: dict[str, Any]) -> Attempt:
    row = value["M"]
    return Attempt(
        from_ms(float(row["at"]["N"])),
        int(row["ms"]["N"]),
        Outcome(row["outcome"]["S"]),
        row["reason"]["S"] if "reason" in row else "",
        int(row["http"]["N"]) if "http" in row else None,
    )


def _message(item: dict[str, Any]) -> Message:
    def moment(name: str) -> datetime | None:
        return from_ms(float(item[name]["N"])) if name in item else None

    def text(name: str) -> str:
        value: str = item[name]["S"] if name in item else ""
        return value

    return Message(
        mailing_id=item["ledger_key"]["S"].partition("#")[0],
        client_id=item["client_id"]["S"],
        phone_number=item["phone_number"]["S"],
        timezone=item["timezone"]["S"],
        status=MessageStatus(item["status"]["S"]),
        revision=int(item["revision"]["N"]),
        created_at=from_ms(float(item["created_at"]["N"])),
        updated_at=from_ms(float(item["updated_at"]["N"])),
        attempts=tuple(_attempt(value) for value in item["attempts"]["L"]) if "attempts" in item else (),
        hinted="hinted" in item,
        claim=text("claim"),
        lease_until=moment("lease_until"),
        retry_at=moment("retry_at"),
        due_at=moment("due_at"),
        sent_at=moment("sent_at"),
        reason=text("reason"),
        forgiven=int(item["forgiven"]["N"]) if "forgiven" in item else 0,
    )


@lru_cache(maxsize=64)
def _insert_text(table: str, names: tuple[str, ...]) -> str:
    return f'INSERT INTO "{table}" VALUE {{{", ".join(f"{name!r}: ?" for name in names)}}}'


@lru_cache(maxsize=256)
def _update_text(table: str, changed: tuple[str, ...], removed: tuple[str, ...]) -> str:
    parts = [f'SET "{name}" = ?' for name in changed] + [f'REMOVE "{name}"' for name in removed]
    where = "WHERE ledger_key = ? AND client_id = ? AND revision = ?"
    return f'UPDATE "{table}" {" ".join(parts)} {where}'


def _update_statement(table: str, old: Message, new: Message) -> dict[str, Any]:
    if new.revision != old.revision + 1:
        raise ValueError("a change must carry the next revision")
    before, after = _values(old), _values(new)
    changed = tuple(name for name, value in after.items() if before.get(name) != value)
    removed = tuple(name for name in before if name not in after)
    parameters = [after[name] for name in changed]
    parameters += [before["ledger_key"], before["client_id"], before["revision"]]
    return {"Statement": _update_text(table, changed, removed), "Parameters": parameters}
