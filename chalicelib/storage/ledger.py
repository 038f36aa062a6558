"""The ledger: one row for each client of each mailing, written in batches, each write on its own condition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ..clock import Backoff
from ..domain.errors import NotFound, Unavailable
from ..domain.faults import Fault
from ..domain.messages import Message, MessageKey, ledger_key_for, parse_message_id
from ..observability import logger
from .dynamodb import TRANSIENT, Item, read_items, translated
from .message_rows import message_of, values_of
from .models import Tables, from_ms, to_ms

# Tries of a write that a busy table does not take; each call is repeated by botocore too. Claims give up early,
# dispatch earlier still: that is how load goes down when a table is too slow.
_UPDATE_TRIES, _INSERT_TRIES = 3, 2
_NO_ANSWER = "no answer"
_UNTOLD = frozenset({_NO_ANSWER, "InternalServerError", "InternalServerErrorException"})
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
    "repeated",
)


class Written(Enum):
    """What came of one write; true if it is there now.

    busy: the table did not take it, and another time it may. unsure: nobody can tell at the moment.
    """

    DONE = "done"
    REFUSED = "refused"
    BUSY = "busy"
    UNSURE = "unsure"

    def __bool__(self) -> bool:
        return self is Written.DONE


def _written(code: str | None, refusal: str, before: Written) -> Written:
    if code is None:
        return Written.DONE
    if code == refusal:
        return Written.REFUSED
    # An earlier try without an answer may have been carried out all the same.
    return Written.UNSURE if code in _UNTOLD or before is Written.UNSURE else Written.BUSY


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
        """Add rows; False for each that was there already, which is left as it is.

        Raises Unavailable if not all could be added: dispatch is what waits first when a table is busy.
        """
        statements = []
        for message in messages:
            values = values_of(message)
            statements.append(
                {"Statement": _insert_text(self._table, tuple(values)), "Parameters": list(values.values())}
            )
        written = self._execute(statements, "DuplicateItem", _INSERT_TRIES, None)
        if any(one in (Written.BUSY, Written.UNSURE) for one in written):
            raise Unavailable("messages: DynamoDB is too busy")
        return [one is Written.DONE for one in written]

    def update(
        self, changes: Sequence[tuple[Message, Message]], tries: int = _UPDATE_TRIES, until: datetime | None = None
    ) -> list[Written]:
        """Replace the first of each pair by the second, and return for each whether it is there now.

        The second must have the next revision. If the table is too busy, a write is tried `tries` times, or, with
        `until`, as often as needed up to that moment. A write whose answer was lost is recognised by reading it back.
        """
        statements = [_update_statement(self._table, old, new) for old, new in changes]
        written = self._execute(statements, "ConditionalCheckFailed", tries, until)
        doubtful = [place for place, one in enumerate(written) if one in (Written.REFUSED, Written.UNSURE)]
        if doubtful:
            try:
                found = self.read([changes[place][1].key for place in doubtful])
            except Unavailable:
                for place in doubtful:
                    written[place] = Written.UNSURE
            else:
                for place in doubtful:
                    new = changes[place][1]
                    row = found.get(new.key)
                    if row and (row.revision, row.claim, row.status) == (new.revision, new.claim, new.status):
                        written[place] = Written.DONE
        return written

    def _execute(
        self, statements: list[dict[str, Any]], refusal: str, tries: int, until: datetime | None
    ) -> list[Written]:
        """What came of each statement, each by itself: what is known of one is not lost because of another."""
        written = [Written.BUSY] * len(statements)
        left = list(range(len(statements)))
        tries_made = 0
        while left:
            again: list[int] = []
            for start in range(0, len(left), _STATEMENTS):
                places = left[start : start + _STATEMENTS]
                for place, code in zip(places, self._codes([statements[place] for place in places]), strict=True):
                    written[place] = _written(code, refusal, written[place])
                    if code in TRANSIENT or code == _NO_ANSWER:
                        again.append(place)
                    elif code not in (None, refusal):
                        logger.error("a write to the ledger was refused", code=code)
            left = again
            tries_made += 1
            over = tries_made >= tries if until is None else self._backoff.clock.now() >= until
            if not left or over:
                break
            self._backoff.wait(tries_made)
        return written

    def _codes(self, statements: list[dict[str, Any]]) -> list[str | None]:
        """The error's code for each of up to 25 statements, None for each that was carried out."""
        try:
            answer = self._dynamodb.batch_execute_statement(Statements=statements)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            return [code if code in TRANSIENT else _NO_ANSWER] * len(statements)
        except BotoCoreError:
            return [_NO_ANSWER] * len(statements)
        codes: list[str | None] = [response.get("Error", {}).get("Code") for response in answer["Responses"]]
        return codes

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
        """The message with this id. Raises NotFound if there is none."""
        key = parse_message_id(message_id)
        found = self.read([key])
        if key not in found:
            raise NotFound(Fault.NO_SUCH_MESSAGE, name=repr(message_id[:80]))
        return found[key]

    def read(self, keys: Iterable[MessageKey], consistent: bool = True) -> dict[MessageKey, Message]:
        """The messages of these mailings and clients, as far as they exist."""
        wanted: list[Item] = [
            {"ledger_key": {"S": ledger_key_for(mailing, client)}, "client_id": {"S": client}}
            for mailing, client in dict.fromkeys(keys)
        ]
        items = read_items(self._dynamodb, self._backoff, self._table, wanted, consistent=consistent)
        return {message.key: message for message in map(message_of, items)}

    def page(self, mailing_id: str, shard: str, after: str, limit: int) -> tuple[list[Message], str]:
        """Up to `limit` rows of a shard after a client's id, and the last id; "" at the end of the shard."""
        return self._page(mailing_id, shard, after, {"Limit": limit})

    def counted_page(self, mailing_id: str, shard: str, after: str) -> tuple[list[Message], str]:
        """Like `page`, as many as 1 MB holds and without their attempts, which make up most of their size: to count."""
        places = {f"#{place}": name for place, name in enumerate(_COUNTED_BY)}
        return self._page(
            mailing_id, shard, after, {"ExpressionAttributeNames": places, "ProjectionExpression": ", ".join(places)}
        )

    def _page(self, mailing_id: str, shard: str, after: str, asked: dict[str, Any]) -> tuple[list[Message], str]:
        key = {"S": f"{mailing_id}#{shard}"}
        request = asked | {
            "TableName": self._table,
            "KeyConditionExpression": "ledger_key = :key",
            "ExpressionAttributeValues": {":key": key},
            "ConsistentRead": True,
        }
        if after:
            request["ExclusiveStartKey"] = {"ledger_key": key, "client_id": {"S": after}}
        with translated("messages"):
            answer = self._dynamodb.query(**request)
        messages = [message_of(item) for item in answer["Items"]]
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
        messages = [message_of(item) for item in answer["Items"]]
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
    before, after = values_of(old), values_of(new)
    changed = tuple(name for name, value in after.items() if before.get(name) != value)
    removed = tuple(name for name in before if name not in after)
    parameters = [after[name] for name in changed]
    parameters += [before["ledger_key"], before["client_id"], before["revision"]]
    return {"Statement": _update_text(table, changed, removed), "Parameters": parameters}
