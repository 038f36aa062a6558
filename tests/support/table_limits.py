"""Limits of DynamoDB that MiniStack lacks: partitions that are used up, and transactions that conflict.

A write is measured where the engine stores an item, by what really changes in the table and in each index; one that
there is no room for is not stored, and is answered as the API Reference says for its operation:
- a single write or read: ProvisionedThroughputExceededException or ThrottlingException, RequestLimitExceeded for the
  table's quota (Developer Guide, "Error handling with DynamoDB" and ThrottlingReason);
- BatchWriteItem, BatchGetItem: the rest in UnprocessedItems and UnprocessedKeys; an exception if nothing was done;
- BatchExecuteStatement: a code for each statement (BatchStatementError);
- TransactWriteItems: TransactionCanceledException with a reason for each action.
An index without room refuses the write of its table ("GSI back-pressure").
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unittest import mock

from ministack.services import dynamodb as engine

from tests.support.capacity import Capacity, Need, Throughput
from tests.support.emulated_items import Key, Reply, cancelled, error, key_of, needs_of_write, size_of

Run = Callable[[dict[str, Any]], Reply]
_MOST_KEYS = 100
_MOST_READ = 16 * 1024 * 1024  # bytes in an answer to BatchGetItem
_THROTTLED = {
    "partition": ("ProvisionedThroughputExceededException", "ThrottlingException"),
    "table": ("RequestLimitExceeded",),
}
# What BatchExecuteStatement and the reasons of TransactWriteItems call the same.
_SHORT = {
    "ProvisionedThroughputExceededException": "ProvisionedThroughputExceeded",
    "ThrottlingException": "ThrottlingError",
    "RequestLimitExceeded": "RequestLimitExceeded",
    "TransactionConflictException": "TransactionConflict",
}
_BUSY = frozenset(_SHORT.values())


class Refused(Exception):
    """A write for which there is no room, or whose item a transaction holds."""

    def __init__(self, code: str, key: Key) -> None:
        super().__init__(code)
        self.code, self.key = code, key


@dataclass
class _Transaction:
    """One TransactWriteItems that is going on: its items, and what it has changed so far."""

    keys: list[Key]
    changed: list[tuple[dict[str, Any], str, str, dict[str, Any] | None]] = field(default_factory=list)


@dataclass
class TableLimits:
    """Stands between callers and engine; everything is off until it is switched on.

    `capacity` limits what tables take. A transaction takes `transaction_takes` seconds, during which it holds its
    items; None: no time at all, and nobody meets it. `unprocessed` is how likely a key of a BatchGetItem is left.
    """

    handle_request: Callable[[str, str, bytes], Reply]
    now: Callable[[], datetime]
    wait: Callable[[float], None]
    rng: random.Random
    transaction_takes: Callable[[], float] | None = None
    unprocessed: float = 0.0
    # Whose calls are spared all of this; a test's own are, where its workers' are not.
    spared: Callable[[], bool] = lambda: False
    refusals: int = 0
    _throughput: Throughput | None = None
    _transactions: list[_Transaction] = field(default_factory=list)
    _own: _Transaction | None = None  # the one that is being carried out
    _left: list[Key] | None = None  # of a batch that is being carried out, what there was no room for
    _page: tuple[dict[str, Any], int] = ({}, 0)

    def limit(self, capacity: Capacity | None, **of_tables: Capacity) -> None:
        """Let tables take no more than this, or what is given by the end of their names; None for no limit."""
        self._throughput = Throughput(capacity, of_tables) if capacity else None

    def __post_init__(self) -> None:
        self._special: dict[str, Callable[[dict[str, Any], Run], Reply]] = {
            **dict.fromkeys(("PutItem", "UpdateItem", "DeleteItem"), self._write),
            "BatchWriteItem": self._batch_write,
            "BatchExecuteStatement": self._batch_statements,
            "TransactWriteItems": self._transact,
            "GetItem": self._get,
            "BatchGetItem": self._batch_get,
            "Query": self._query,
        }

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Look at everything that the engine stores and reads."""
        self._set, self._remove = engine._set_item, engine._remove_item
        self._statement, self._paginate = engine._execute_statement, engine._paginate_evaluated_items
        with (
            mock.patch.object(engine, "_set_item", self._set_item),
            mock.patch.object(engine, "_remove_item", self._remove_item),
            mock.patch.object(engine, "_execute_statement", self._execute_statement),
            mock.patch.object(engine, "_paginate_evaluated_items", self._paginated),
        ):
            yield

    def handle(self, service: str, target: str, body: bytes) -> Reply:
        """Answer a request, in the place of InProcessAws._handle."""
        operation = target.rpartition(".")[2]
        special = self._special.get(operation) if service == "dynamodb" and self._is_on() else None
        if special is None:
            return self.handle_request(service, target, body)

        def run(request: dict[str, Any]) -> Reply:
            return self.handle_request(service, target, json.dumps(request).encode())

        try:
            return special(json.loads(body), run)
        except Refused as refused:
            return error(refused.code)

    def _is_on(self) -> bool:
        return bool(self._throughput or self.transaction_takes or self.unprocessed) and not self.spared()

    # -- writes

    def _write(self, request: dict[str, Any], run: Run) -> Reply:
        return run(request)

    def _batch_write(self, request: dict[str, Any], run: Run) -> Reply:
        self._left = []
        try:
            status, answer = run(request)
        finally:
            left, self._left = set(self._left), None
        if status != 200 or not left:
            return status, answer
        unprocessed: dict[str, list[Any]] = {}
        for name, members in request["RequestItems"].items():
            for member in members:
                (action,) = member.values()
                if key_of(name, action.get("Item") or action["Key"]) in left:
                    unprocessed.setdefault(name, []).append(member)
        if sum(map(len, unprocessed.values())) == sum(map(len, request["RequestItems"].values())):
            return error("ProvisionedThroughputExceededException")
        return status, answer | {"UnprocessedItems": unprocessed}

    def _batch_statements(self, request: dict[str, Any], run: Run) -> Reply:
        status, answer = run(request)
        codes = {one.get("Error", {}).get("Code") for one in answer.get("Responses", [])}
        # Whether the whole call is refused if each of its statements is, the documentation leaves open: it names the
        # code of the call and the codes of statements.
        if codes and codes <= _BUSY - {"TransactionConflict"} and self.rng.random() < 0.5:
            return error("ThrottlingException")
        return status, answer

    def _execute_statement(self, data: dict[str, Any]) -> Any:
        try:
            return self._statement(data)
        except Refused as refused:
            # The engine makes a statement's code of the exception's by leaving its end out.
            return engine.error_response_json(f"{_SHORT[refused.code]}Exception", "refused by the test")

    def _transact(self, request: dict[str, Any], run: Run) -> Reply:
        actions = [next(iter(action.values())) for action in request["TransactItems"]]
        keys = [key_of(action["TableName"], action.get("Item") or action["Key"]) for action in actions]
        held = {key for transaction in self._transactions for key in transaction.keys}
        if held & set(keys):
            return cancelled(keys, held, "TransactionConflict")
        transaction = _Transaction(keys)
        self._transactions.append(transaction)
        try:
            if self.transaction_takes:
                self.wait(self.transaction_takes())
            self._own = transaction
            return run(request)
        except Refused as refused:
            for table, pk, sk, old in reversed(transaction.changed):
                self._remove(table, pk, sk) if old is None else self._set(table, pk, sk, old)
            return cancelled(keys, {refused.key}, _SHORT[refused.code])
        finally:
            self._own = None
            self._transactions.remove(transaction)

    def _set_item(self, table: dict[str, Any], pk: str, sk: str, item: dict[str, Any]) -> Any:
        return self._set(table, pk, sk, item) if self._admits(table, pk, sk, item) else None

    def _remove_item(self, table: dict[str, Any], pk: str, sk: str) -> Any:
        return self._remove(table, pk, sk) if self._admits(table, pk, sk, None) else None

    def _admits(self, table: dict[str, Any], pk: str, sk: str, new: dict[str, Any] | None) -> bool:
        """Whether a write may be stored; False in a batch that goes on without it, Refused raised elsewhere."""
        if not self._is_on():
            return True
        key = (table["TableName"], pk, sk)
        old = table["items"].get(pk, {}).get(sk)
        code = self._obstacle(key, table, old, new)
        if code is None:
            if self._own:
                self._own.changed.append((table, pk, sk, old))
            return True
        self.refusals += 1
        if self._left is None:
            raise Refused(code, key)
        self._left.append(key)
        return False

    def _obstacle(
        self, key: Key, table: dict[str, Any], old: dict[str, Any] | None, new: dict[str, Any] | None
    ) -> str | None:
        if any(key in one.keys for one in self._transactions if one is not self._own):
            return "TransactionConflictException"
        if self._throughput is None:
            return None
        needs = needs_of_write(table, key[1], old, new, 2 if self._own else 1)
        lacking = self._throughput.lacking(needs, self.now())
        if lacking is None:
            self._throughput.spend(needs, self.now())
            return None
        return self.rng.choice(_THROTTLED[lacking[1]])

    # -- reads

    def _get(self, request: dict[str, Any], run: Run) -> Reply:
        key = key_of(request["TableName"], request["Key"])
        if not self._may_read(key[0], key[1]):
            return self._too_many_reads()
        self._count_read(key[0], key[1], size_of(key), bool(request.get("ConsistentRead")))
        return run(request)

    def _query(self, request: dict[str, Any], run: Run) -> Reply:
        name, index = request["TableName"], request.get("IndexName", "")
        table = engine._tables[name]
        schemas = {known: hashes[0] for known, hashes, _ in engine._index_key_schemas(table)}
        hash_name = schemas.get(index) or table["pk_name"]
        values, names = request.get("ExpressionAttributeValues", {}), request.get("ExpressionAttributeNames", {})
        hash_key = engine._extract_pk_from_condition(request["KeyConditionExpression"], values, names, hash_name)
        resource = f"{name}/{index}" if index else name
        if not self._may_read(resource, hash_key):
            return self._too_many_reads()
        answer = run(request)
        self._count_read(resource, hash_key, self._page[1], bool(request.get("ConsistentRead")))
        return answer

    def _paginated(self, items: Any, limit: Any, table: dict[str, Any], index: str | None = None) -> Any:
        page, more = self._paginate(items, limit, table, index)
        if self._throughput:
            entries = (engine._apply_index_projection(one, table, index) if index else one for one in page)
            self._page = (table, sum(map(engine._item_size_bytes, entries)))
        return page, more

    def _batch_get(self, request: dict[str, Any], run: Run) -> Reply:
        if sum(len(one["Keys"]) for one in request["RequestItems"].values()) > _MOST_KEYS:
            return run(request)  # the engine refuses it
        wanted: dict[str, Any] = {}
        left: dict[str, Any] = {}
        size = 0
        for name, one in request["RequestItems"].items():
            for values in one["Keys"]:
                key = key_of(name, values)
                size += size_of(key)
                room = self._may_read(name, key[1])
                if room:
                    self._count_read(name, key[1], size_of(key), bool(one.get("ConsistentRead")))
                done = room and size <= _MOST_READ and self.rng.random() >= self.unprocessed
                (wanted if done else left).setdefault(name, one | {"Keys": []})["Keys"].append(values)
        if not wanted:
            return self._too_many_reads()
        status, answer = run(request | {"RequestItems": wanted})
        return status, answer | ({"UnprocessedKeys": left} if status == 200 else {})

    def _may_read(self, resource: str, hash_key: str) -> bool:
        return not self._throughput or self._throughput.lacking([Need(resource, hash_key, "read")], self.now()) is None

    def _count_read(self, resource: str, hash_key: str, size: int, consistent: bool) -> None:
        if self._throughput:
            units = max(1, -(-size // 4096)) * (1.0 if consistent else 0.5)
            self._throughput.spend([Need(resource, hash_key, "read", units)], self.now())

    def _too_many_reads(self) -> Reply:
        self.refusals += 1
        return error("ProvisionedThroughputExceededException")
