"""Filters over clients: conditions on their fields, and on the outcome of an earlier mailing to them.

A filter is a tree, written as JSON: `{"all": [...]}`, `{"any": [...]}`, `{"not": ...}`, and conditions as its leaves,
such as `{"tag": "vip"}` or `{"attribute": "age", "between": [18, 30]}`. A condition on something that a client does not
have is false, so `not` of it is true.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol

from .attributes import Attributes, Value, is_date
from .clients import zone
from .statuses import MessageStatus

Node = Mapping[str, Any]
# How a condition compares the value of an attribute; `one_of` and `between` take lists.
COMPARISONS = ("equal", "one_of", "less", "greater", "between", "exists", "begins_with")
ORDERED = frozenset({"less", "greater", "between"})


class Filtered(Protocol):
    """The fields of a client that a filter reads."""

    @property
    def client_id(self) -> str: ...
    @property
    def tags(self) -> tuple[str, ...]: ...
    @property
    def operator(self) -> str: ...
    @property
    def timezone(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def attributes(self) -> Attributes: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What a filter needs besides the clients: the time, and the outcomes of earlier mailings to them."""

    now: datetime
    statuses: Mapping[tuple[str, str], MessageStatus] = field(default_factory=dict)  # by mailing and client

    def today(self, timezone: str) -> date:
        """Today's date in a time zone."""
        return _today(self.now, timezone)


@lru_cache(maxsize=1024)
def _today(now: datetime, timezone: str) -> date:
    return now.astimezone(zone(timezone)).date()


Test = Callable[[Filtered, Facts], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that `filter_checks` has checked. Two filters are equal if their texts are."""

    text: str  # as JSON, as it is stored

    @property
    def node(self) -> dict[str, Any]:
        """The tree."""
        tree: dict[str, Any] = json.loads(self.text)
        return tree

    @property
    def mailings(self) -> frozenset[str]:
        """The ids of the earlier mailings that it refers to."""
        return frozenset(one["mailing"] for one in _leaves(self.node) if "mailing" in one)

    def matches(self, client: Filtered, facts: Facts) -> bool:
        """Whether a client matches. `facts` must have the statuses of its earlier mailings for this client."""
        return _compiled(self.text)(client, facts)


def _leaves(node: Node) -> Iterator[Node]:
    inner = [*node.get("all", ()), *node.get("any", ()), *([node["not"]] if "not" in node else [])]
    if not inner:
        yield node
    for one in inner:
        yield from _leaves(one)


@lru_cache(maxsize=256)
def _compiled(text: str) -> Test:
    """A filter as a function, because it is applied to every client of a segment."""
    return _test(json.loads(text))


def _test(node: Node) -> Test:
    match node:
        case {"all": parts}:
            each = [_test(part) for part in parts]
            return lambda client, facts: all(one(client, facts) for one in each)
        case {"any": parts}:
            each = [_test(part) for part in parts]
            return lambda client, facts: any(one(client, facts) for one in each)
        case {"not": part}:
            inner = _test(part)
            return lambda client, facts: not inner(client, facts)
        case {"attribute": name, **rest}:
            how, operand = next(iter(rest.items()))
            return _compared(name, how, operand)
        case {"mailing": mailing_id, **rest}:
            wanted = frozenset(map(MessageStatus, rest.get("status", MessageStatus)))
            return lambda client, facts: facts.statuses.get((mailing_id, client.client_id)) in wanted
    kind, values = next(iter(node.items()))
    return _FIELDS[kind](frozenset(values))


def _tagged(values: Collection[str]) -> Test:
    return lambda client, _: any(tag in values for tag in client.tags or ("",))


def _of_operator(values: Collection[str]) -> Test:
    return lambda client, _: client.operator in values


def _reading(values: Collection[str]) -> Test:
    """Clients who read one of the languages; pt is also for those who read pt-BR."""
    return lambda client, _: client.language in values or client.language.partition("-")[0] in values


def _living_in(values: Collection[str]) -> Test:
    return lambda client, _: client.timezone in values


_FIELDS: Mapping[str, Callable[[Collection[str]], Test]] = {
    "tag": _tagged,
    "operator": _of_operator,
    "language": _reading,
    "timezone": _living_in,
}


def is_today(value: Any) -> bool:
    """Whether a value is a number of days from today, such as `{"today": -30}`."""
    return isinstance(value, Mapping)


def _compared(name: str, how: str, operand: Any) -> Test:
    """A function that compares the value of an attribute with an operand, which may be relative to today."""
    several = operand if isinstance(operand, list) else [operand]

    def test(client: Filtered, facts: Facts) -> bool:
        value = client.attributes.get(name)
        if how == "exists":
            return (value is not None) is operand
        if value is None:
            return False
        others = [
            str(facts.today(client.timezone) + timedelta(days=one["today"])) if is_today(one) else one
            for one in several
        ]
        return _holds(value, how, others)

    return test


def _holds(value: Value, how: str, others: list[Value]) -> bool:
    if how in ORDERED:
        here, bounds = order_of(value), [order_of(one) for one in others]
        if here is None or any(bound is None or bound[0] != here[0] for bound in bounds):
            return False
        if how == "between":
            return bool(bounds[0] <= here <= bounds[1])  # type: ignore[operator]
        return bool(here < bounds[0]) if how == "less" else bool(here > bounds[0])  # type: ignore[operator]
    if how == "begins_with":
        return isinstance(value, str) and value.startswith(str(others[0]))
    return any(isinstance(value, bool) is isinstance(one, bool) and value == one for one in others)


def order_of(value: Value) -> tuple[str, Any] | None:
    """The kind of a value and its sort key; None if it has no order."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return "number", value
    return ("date", value) if is_date(value) else None
