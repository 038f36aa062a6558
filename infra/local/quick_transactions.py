"""A transaction of MiniStack without what it works out three times, and what nobody has asked for.

An update is tried twice before it is made, and what its items cost in each index is added up even if the answer does
not say it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

Item = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Apply = Callable[..., tuple[Item, set[str]]]
_UNASKED: dict[str, Callable[..., Any]] = {"_index_write_units": lambda *_: 0.0, "_vector_write_bytes": lambda *_: {}}


def transacting(engine: ModuleType) -> Callable[[dict[str, Any]], Answer]:
    """The function `_transact_write_items`, with the same answers."""
    transact: Callable[[dict[str, Any]], Answer] = engine._transact_write_items

    @wraps(transact)
    def transacted(data: dict[str, Any]) -> Answer:
        instead: dict[str, Any] = {"_apply_update_expression": _once(engine._apply_update_expression)}
        if data.get("ReturnConsumedCapacity", "NONE") == "NONE":
            instead |= _UNASKED
        usual = {name: getattr(engine, name) for name in instead}
        vars(engine).update(instead)
        try:
            return transact(data)
        finally:
            vars(engine).update(usual)

    return transacted


def _once(apply: Apply) -> Apply:
    """Applies updates, each of them once to the same item."""
    known: dict[tuple[str, int], tuple[Item, tuple[Item, set[str]]]] = {}

    def applied(item: Item, text: str, values: dict[str, Any], names: dict[str, str]) -> tuple[Item, set[str]]:
        key = text, id(values)  # which the request holds as long as this function lives
        found = known.get(key)
        if not values or found is None or found[0] != item:
            found = item, apply(item, text, values, names)
            known[key] = found
        return found[1]

    return applied
