"""MiniStack's DynamoDB, SQS and Secrets Manager in this process: their calls, what each has changed, and their state.

Nothing else of MiniStack runs: neither its router with its administrative paths, nor any other service.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from infra.local import ministack_patches
from infra.local.steady_time import show_again

Answer = tuple[int, dict[str, str], bytes]
Table = dict[str, Any]
# One change of a table: the table, the item's keys, and what was and is there (None for nothing).
Change = tuple[Table, str, str, dict[str, Any] | None, dict[str, Any] | None]
Token = tuple[str, str, str, dict[str, Any]]  # of a transaction: account, region, token, and what it was answered

_READS = """
    GetItem BatchGetItem TransactGetItems Query Scan DescribeTable ListTables DescribeLimits DescribeTimeToLive
    DescribeContinuousBackups DescribeEndpoints ListTagsOfResource
"""
_WRITES = """
    PutItem UpdateItem DeleteItem BatchWriteItem TransactWriteItems ExecuteStatement BatchExecuteStatement
"""
_TABLES = """
    CreateTable UpdateTable DeleteTable UpdateTimeToLive UpdateContinuousBackups TagResource UntagResource
"""
_OF_SECRETS = """
    CreateSecret GetSecretValue PutSecretValue UpdateSecret DeleteSecret RestoreSecret DescribeSecret ListSecrets
"""
# What is not here, such as an import of a table, would change data behind the journal's back.
_DYNAMODB = frozenset(f"{_READS} {_WRITES} {_TABLES}".split())
_SECRETS = frozenset(_OF_SECRETS.split())
_SETUP = frozenset(f"{_TABLES} {_OF_SECRETS}".split())  # what changes more than items
_SERVICES = {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "secretsmanager": "secretsmanager"}


class UnknownCallError(Exception):
    """The emulator has no such operation."""


def configure() -> None:
    """MiniStack reads its environment when it is imported."""
    os.environ.update(
        # Not the real port: it is part of the names under which queues are saved, and the next run has another one.
        GATEWAY_PORT="4566",
        PERSIST_STATE="0",  # infra/local/store.py does that
        LOG_LEVEL="WARNING",
    )


class Engine:
    """The emulated services. All calls come from one thread, and those of DynamoDB never wait in the middle."""

    def __init__(self, remembers: bool = True) -> None:
        from ministack.core import persistence, responses
        from ministack.services import dynamodb, secretsmanager, sqs

        self._dynamodb, self._sqs, self._secrets = dynamodb, sqs, secretsmanager
        self._modules: dict[str, Any] = {"dynamodb": dynamodb, "sqs": sqs, "secretsmanager": secretsmanager}
        self._persistence, self._responses = persistence, responses
        ministack_patches.install(parses=remembers)
        self._set, self._remove = dynamodb._set_item, dynamodb._remove_item
        self._store_token = dynamodb._txn_token_store
        self._thread = threading.get_ident()
        self._changes: list[Change] = []
        self._items: dict[str, Any] = {}  # of each table, before the last call that may have changed tables
        self._tokens: list[Token] = []
        dynamodb._set_item, dynamodb._remove_item = self._noted_set, self._noted_remove
        dynamodb._txn_token_store = self._noted_token

    # -- calls

    async def call(self, target: str, region: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a call. Raises UnknownCallError if there is no such call, or none in this emulator."""
        prefix, _, operation = target.rpartition(".")
        service = _SERVICES.get(prefix)
        if service is None or (service == "dynamodb" and operation not in _DYNAMODB):
            raise UnknownCallError(target)
        if service == "secretsmanager" and operation not in _SECRETS:
            raise UnknownCallError(target)
        if operation == "UpdateTable" and b'"ReplicaUpdates"' in body:
            raise UnknownCallError(f"{target} with ReplicaUpdates")
        self._responses.set_request_region(region)
        module = self._modules[service]
        self._changes, self._tokens = [], []
        if self.changes_setup(target):
            self._items = self._all_items()
        status, answered, content = (await module.handle_request("POST", "/", dict(headers), body, {}))[:3]
        return int(status), dict(answered), content if isinstance(content, bytes) else str(content).encode()

    def changes_setup(self, target: str) -> bool:
        """Whether a call may have changed more than items: tables, or secrets."""
        prefix, _, operation = target.rpartition(".")
        return prefix != "AmazonSQS" and operation in _SETUP

    # -- what a call has changed

    def taken(self) -> tuple[list[Change], list[Token]]:
        """The changes of items by the last call, in order, and the tokens of its transactions; each is told once."""
        changes, tokens = self._changes, self._tokens
        self._changes, self._tokens = [], []
        return changes, tokens

    def undo(self, changes: list[Change]) -> None:
        """Restore the items as they were before these changes."""
        for table, pk, sk, old, _ in reversed(changes):
            if old is None:
                self._remove(table, pk, sk)
            else:
                self._set(table, pk, sk, old)

    def _noted_set(self, table: Table, pk: str, sk: str, item: dict[str, Any]) -> dict[str, Any] | None:
        old: dict[str, Any] | None = self._set(table, pk, sk, item)
        self._changes.append((table, pk, sk, old, item))
        return old

    def _noted_remove(self, table: Table, pk: str, sk: str) -> dict[str, Any] | None:
        old: dict[str, Any] | None = self._remove(table, pk, sk)
        # MiniStack's own thread removes what has expired: nobody was told, and it will be removed again.
        if old is not None and threading.get_ident() == self._thread:
            self._changes.append((table, pk, sk, old, None))
        return old

    def _noted_token(self, token: str, entry: dict[str, Any]) -> None:
        self._store_token(token, entry)
        self._tokens.append((self._responses.get_account_id(), self._responses.get_region(), token, entry))

    # -- state

    def tables(self) -> dict[str, Table]:
        """All tables by ARN."""
        return {table["TableArn"]: table for table in self._dynamodb._tables.all_values()}

    def setup(self) -> str:
        """Everything but items and queues, as text: tables, their times to live, tags, secrets."""
        engine = self._dynamodb
        own = (engine._INDEX_MEMBERS, "items", "ItemCount", "TableSizeBytes")
        tables = self._responses.AccountRegionScopedDict()
        for (account, region, name), table in engine._tables.all_items():
            kept = {key: value for key, value in table.items() if key not in own} | {"items": {}}
            tables.set_scoped(account, region, name, kept)
        state = {"tables": tables, "tags": engine._tags}
        state |= {"ttl_settings": engine._ttl_settings, "pitr_settings": engine._pitr_settings}
        return self._text({"dynamodb": state, "secretsmanager": self._secrets.get_state()})

    def set_up(self, text: str) -> None:
        """Restore tables and secrets from a text of `setup`; tables that stay keep their items."""
        items, tokens = self._items | self._all_items(), self.tokens()
        self._dynamodb.reset()
        self._secrets.reset()
        state = self._value(text)
        self._dynamodb.load_persisted_state(state["dynamodb"])
        self._secrets.load_persisted_state(state["secretsmanager"])
        for table in self._dynamodb._tables.all_values():
            table["items"].update(items.get(table["TableId"], {}))
            self._dynamodb._items_replaced(table)
        for token in tokens:
            self.remember_token(token)
        self._items = {}

    def _all_items(self) -> dict[str, Any]:
        return {table["TableId"]: table["items"] for table in self._dynamodb._tables.all_values()}

    def put(self, table: Table, item: dict[str, Any]) -> None:
        """Put an item into a table without noting the change."""
        key = self._dynamodb._extract_key_val
        sk = key(item.get(table["sk_name"])) if table["sk_name"] else "__no_sort__"
        self._set(table, key(item.get(table["pk_name"])), sk, item)

    def delete(self, table: Table, pk: str, sk: str) -> None:
        """Delete an item from a table without noting the change."""
        self._remove(table, pk, sk)

    def tokens(self) -> list[Token]:
        """The tokens of transactions that may be repeated, with what they were answered."""
        return [(*key, entry) for key, entry in self._dynamodb._txn_idempotency.all_items()]

    def remember_token(self, token: Token) -> None:
        """Answer the repetition of a transaction as it was answered once."""
        self._dynamodb._txn_idempotency.set_scoped(*token)

    def queues(self) -> str:
        """The queues with all that is in them, as text."""
        return self._text(self._sqs.get_state())

    def restore_queues(self, text: str) -> None:
        """Restore the queues from a text of `queues`."""
        self._sqs.load_persisted_state(self._value(text))
        for queue in self._sqs._queues.values():
            show_again(queue["messages"], self._sqs.time.time())

    def restore_of_ministack(self, name: str, state: Any) -> None:
        """Take over what MiniStack itself has saved for one of the services."""
        self._modules[name].load_persisted_state(state)

    def decoder(self) -> Callable[[dict[str, Any]], Any]:
        """What makes MiniStack's own values of JSON objects."""
        hook: Callable[[dict[str, Any]], Any] = self._persistence._json_object_hook
        return hook

    def _text(self, value: Any) -> str:
        return json.dumps(value, default=self._persistence._json_default)

    def _value(self, text: str) -> Any:
        return json.loads(text, object_hook=self._persistence._json_object_hook)
