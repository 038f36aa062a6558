"""How many mailings have which status, and how many messages the ended ones have: moved with the mailings themselves.

A table's partition takes a thousand write units a second, and of two transactions that change one item at the same time
one fails. So these counters are in eight parts, on as many keys, each of which is one item with all of them: what moves
from one status to another takes one action.
"""

from __future__ import annotations

from collections import Counter
from typing import Any
from zlib import crc32

from pynamodb.expressions.operand import Path
from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.clients import KEY_SEPARATOR
from ..domain.mailings import Mailing
from .counters import Counters
from .dynamodb import Item, read_items
from .tables import Tables

_PARTS = 8
_NAME = "totals"
_MAILINGS, _MESSAGES = "mailings", "ended-messages"  # scopes of an earlier version
_EARLIER_PART = "|"  # before the number of a part in the names of an earlier version


class MailingTotals:
    """The counters: a status by its name, messages by the status of their mailing and their own."""

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff) -> None:
        self._model = tables.settings
        self._dynamodb = dynamodb
        self._backoff = backoff
        # An earlier version had an item for each counter and part, all on one key, which count as they are.
        self._earlier = {scope: Counters(tables, scope) for scope in (_MAILINGS, _MESSAGES)}

    def move(self, transaction: TransactWrite, old: Mailing | None, new: Mailing | None) -> None:
        """Let the transaction that changes a mailing, adds or removes it, move the counters too."""
        counts: Counter[str] = Counter()
        mailing_id = ""
        for mailing, sign in ((old, -1), (new, 1)):
            if mailing:
                mailing_id = mailing.mailing_id
                counts[str(mailing.status)] += sign
                for name, count in mailing.final:
                    counts[f"{mailing.status}{KEY_SEPARATOR}{name}"] += sign * count
        actions: list[Any] = [Path([name]).add(count) for name, count in sorted(counts.items()) if count]
        if actions:
            part = crc32(mailing_id.encode()) % _PARTS
            transaction.update(self._model(_scope(part), _NAME), actions=actions)

    def by_status(self) -> dict[str, int]:
        """How many mailings there are of each status, as it was a moment ago."""
        return _by_status(self._read(_MAILINGS))

    def with_messages(self) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
        """The same, and how many messages ended mailings have, by the mailings' status and their own."""
        sums = self._read(_MAILINGS, _MESSAGES)
        messages: dict[tuple[str, str], int] = {}
        for name, count in sums.items():
            mailing, separator, message = name.partition(KEY_SEPARATOR)
            if separator and count:
                messages[mailing, message] = count
        return _by_status(sums), messages

    def _read(self, *earlier: str) -> Counter[str]:
        keys: list[Item] = [{"scope": {"S": _scope(part)}, "name": {"S": _NAME}} for part in range(_PARTS)]
        table = self._model.Meta.table_name
        sums: Counter[str] = Counter()
        for item in read_items(self._dynamodb, self._backoff, table, keys, consistent=False):
            for name, value in item.items():
                if "N" in value:
                    sums[name] += int(value["N"])
        for scope in earlier:
            counters = self._earlier.get(scope)
            found = list(counters.read()) if counters else []
            if not found:  # nor will there be any
                self._earlier.pop(scope, None)
            for name, amount in found:
                sums[name.partition(_EARLIER_PART)[0]] += amount
        return sums


def _by_status(sums: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sums.items() if count and KEY_SEPARATOR not in name}


def _scope(part: int) -> str:
    return f"mailings-{part}"
