"""Meter: counts every call to the in-process AWS, and its units."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ministack.services import dynamodb

from benchmarks.units import Item, Table, item_size, query_units, queue_requests, read_units, write_units
from chalicelib.domain.costs import Usage
from infra.provision import resources

Handle = Callable[[str, str, bytes], tuple[int, dict[str, Any]]]
_TABLE_OF = re.compile(r'^(?:INSERT INTO|UPDATE|DELETE FROM) "([^"]+)"')
_PLACES = re.compile(r"'(\w+)': \?")


@dataclass(slots=True)
class Line:
    """Calls of one kind by one function: how many, and their units."""

    calls: int = 0
    usage: Usage = field(default_factory=Usage)


class Meter:
    """Counts by function, operation, and table or queue. `function` returns the function at work."""

    def __init__(self, handle: Handle, prefix: str, function: Callable[[], str]) -> None:
        self._handle = handle
        self._function = function
        defined = resources(prefix).values()
        tables = [one["Properties"] for one in defined if one["Type"] == "AWS::DynamoDB::Table"]
        self._tables = {one["TableName"]: Table.of(one) for one in tables}
        self.lines: defaultdict[tuple[str, str, str], Line] = defaultdict(Line)
        self.index_units: Counter[str] = Counter()

    def total(self) -> Usage:
        """All units so far."""
        return sum((line.usage for line in self.lines.values()), Usage())

    def calls(self) -> int:
        """All calls so far."""
        return sum(line.calls for line in self.lines.values())

    def handle(self, service: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Answer the call, and count it."""
        operation = target.rpartition(".")[2]
        request = json.loads(body)
        if service == "sqs":
            status, answer = self._handle(service, target, body)
            payload = sum(len(one.get("MessageBody", "")) for one in request.get("Entries", [request]))
            payload += sum(len(one["Body"]) for one in answer.get("Messages", []))
            if operation == "ReceiveMessage" and not answer.get("Messages"):
                return status, answer  # Lambda waits for the first message; the simulation looks again and again
            name = (request.get("QueueName") or request["QueueUrl"].rpartition("/")[2]).rpartition("-")[2]
            self._note(operation, name, Usage(queue_requests=queue_requests(payload)))
            return status, answer
        writes = list(self._written(operation, request))
        before = [self._item(table, key) for table, key in writes]
        status, answer = self._handle(service, target, body)
        if writes:
            self._note_writes(operation, writes, before)
        else:
            self._note_reads(operation, request, answer)
        return status, answer

    def _note(self, operation: str, resource: str, usage: Usage, calls: int = 1) -> None:
        line = self.lines[self._function(), operation, resource]
        line.calls += calls
        line.usage += usage

    # -- writes

    def _written(self, operation: str, request: dict[str, Any]) -> Iterator[tuple[str, Item]]:
        """Every item that a request writes, by table and key."""
        if operation == "BatchExecuteStatement":
            for one in request["Statements"]:
                found = _TABLE_OF.match(one["Statement"])
                if found is None:
                    raise ValueError(f"a statement that is not known: {one['Statement']}")
                yield found[1], self._statement_key(found[1], one["Statement"], one["Parameters"])
        elif operation == "TransactWriteItems":
            for action in request["TransactItems"]:
                ((_, write),) = action.items()
                yield self._target(write)
        elif operation == "BatchWriteItem":
            for table, entries in request["RequestItems"].items():
                for entry in entries:
                    ((_, write),) = entry.items()
                    yield self._target({"TableName": table, **write})
        elif operation in ("PutItem", "UpdateItem", "DeleteItem"):
            yield self._target(request)

    def _target(self, write: dict[str, Any]) -> tuple[str, Item]:
        table = write["TableName"]
        return table, write["Key"] if "Key" in write else self._tables[table].key_of(write["Item"])

    def _statement_key(self, table: str, statement: str, parameters: list[dict[str, Any]]) -> Item:
        """The key in a statement: the values of the key's attributes in an INSERT, or the beginning of WHERE."""
        keys = self._tables[table].keys
        if statement.startswith("INSERT"):
            values = dict(zip(_PLACES.findall(statement), parameters, strict=True))
            return {name: values[name] for name in keys}
        head, where = statement.split(" WHERE ")
        names = re.findall(r"(\w+) = \?", where)
        values = dict(zip(names, parameters[head.count("?") :], strict=True))
        return {name: values[name] for name in keys}

    def _item(self, table: str, key: Item) -> Item | None:
        """A copy of the current item, because the emulator may change its own."""
        hash_key, *sort_key = (next(iter(key[name].values())) for name in self._tables[table].keys)
        items = dynamodb._tables[table]["items"].get(hash_key, {})
        item: Item | None = items.get(sort_key[0] if sort_key else "__no_sort__")
        return None if item is None else dict(item)

    def _note_writes(self, operation: str, writes: list[tuple[str, Item]], before: list[Item | None]) -> None:
        """Count writes. A refused write did not change its item, and costs the units of that item."""
        times = 2 if operation == "TransactWriteItems" else 1
        by_table: defaultdict[str, float] = defaultdict(float)
        for (table, key), old in zip(writes, before, strict=True):
            units, in_indexes = write_units(self._tables[table], old, self._item(table, key))
            by_table[table] += times * (units + sum(in_indexes.values()))
            for index, more in in_indexes.items():
                self.index_units[f"{table.rpartition('-')[2]}/{index}"] += times * more
        calls = 1
        for table, needed in by_table.items():
            self._note(operation, table.rpartition("-")[2], Usage(write_units=needed), calls)
            calls = 0  # one call may write to several tables

    # -- reads

    def _note_reads(self, operation: str, request: dict[str, Any], answer: dict[str, Any]) -> None:
        if operation == "Query":
            table = request["TableName"]
            index = next((one for one in self._tables[table].indexes if one.name == request.get("IndexName")), None)
            sizes = []
            for item in answer.get("Items", []):
                whole = self._item(table, self._tables[table].key_of(item)) or item
                sizes.append(item_size((self._tables[table].entry(index, whole) or item) if index else whole))
            units = query_units(sizes, consistent=request.get("ConsistentRead", False))
            self._note(operation, table.rpartition("-")[2], Usage(read_units=units))
        elif operation == "BatchGetItem":
            calls = 1
            for table, wanted in request["RequestItems"].items():
                found = [self._item(table, self._tables[table].key_of(key)) for key in wanted["Keys"]]
                sizes = [item_size(item or {}) for item in found]
                needed = read_units(sizes, consistent=wanted.get("ConsistentRead", False))
                self._note(operation, table.rpartition("-")[2], Usage(read_units=needed), calls)
                calls = 0
        else:
            raise ValueError(f"a call whose units are not known: {operation}")
