"""Checks a filter that a person or program gives; every wrong node is named by its path."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .attributes import check_name, check_value
from .clients import check_language, check_operator, check_timezone
from .errors import FieldError, Invalid
from .faults import Fault
from .filters import COMPARISONS, Filter, Node, is_today, order_of
from .mailing_ids import is_mailing_id
from .statuses import MessageStatus
from .tags import check_tag

FIELD = "clients.filter"
MOST_LEVELS = 5
MOST_VALUES = 50  # in all conditions together
MOST_BYTES = 4096  # of a filter as JSON: it stands in the item of its mailing, which is read all the time
MOST_DAYS = 36_525  # from today, either way


def checked_filter(node: Node, path: str = FIELD) -> Filter:
    """The filter that a tree describes.

    Raises Invalid with each wrong node, by its path such as `clients.filter.all.1.tag`.
    """
    check = _Check()
    kept = check.node(node, path, 1)
    if check.values > MOST_VALUES:
        check.refuse(path, Fault.TOO_MANY_VALUES, most=MOST_VALUES)
    text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MOST_BYTES:
        check.refuse(path, Fault.ATTRIBUTES_TOO_LARGE, most=MOST_BYTES)
    if check.errors:
        raise Invalid(*check.errors)
    return Filter(text)


class _Check:
    """Goes through a tree and collects its errors and the number of its values."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []
        self.values = 0

    def refuse(self, path: str, fault: Fault, **values: object) -> None:
        self.errors.append(FieldError(path, fault, values))

    def node(self, node: Node, path: str, level: int) -> dict[str, Any]:
        """The node as it is stored."""
        if level > MOST_LEVELS:
            self.refuse(path, Fault.FILTER_TOO_DEEP, most=MOST_LEVELS)
            return {}
        kinds = [kind for kind in _KINDS if kind in node]
        if len(kinds) != 1:
            self.refuse(path, Fault.FILTER_KIND, allowed=", ".join(_KINDS))
            return {}
        kind = kinds[0]
        self._only(node, path, kind)
        if kind in ("all", "any"):
            if not node[kind]:
                self.refuse(f"{path}.{kind}", Fault.TOO_FEW_VALUES, least=1)
            return {kind: [self.node(one, f"{path}.{kind}.{place}", level + 1) for place, one in enumerate(node[kind])]}
        if kind == "not":
            return {kind: self.node(node[kind], f"{path}.{kind}", level + 1)}
        if kind == "attribute":
            return self._attribute(node, path)
        if kind == "mailing":
            return self._mailing(node, path)
        return {kind: self._each(node[kind], f"{path}.{kind}", _RULES[kind])}

    def _only(self, node: Node, path: str, kind: str) -> None:
        """Refuse keys that do not belong to a node of this kind."""
        allowed = {kind, *(COMPARISONS if kind == "attribute" else ["status"] if kind == "mailing" else ())}
        for name in node:
            if name not in allowed:
                self.refuse(f"{path}.{name}", Fault.FILTER_NOT_HERE, name=kind)

    def _each(self, given: Any, path: str, rule: Callable[[Any, str], Any]) -> list[Any]:
        """One value or a list of values, each checked by a rule, as a list without repetitions."""
        several = isinstance(given, list | tuple)
        values = list(given) if several else [given]
        if not values:
            self.refuse(path, Fault.TOO_FEW_VALUES, least=1)
        self.values += len(values)
        kept = [self._one(value, f"{path}.{place}" if several else path, rule) for place, value in enumerate(values)]
        return [one for place, one in enumerate(kept) if one not in kept[:place]]

    def _one(self, value: Any, path: str, rule: Callable[[Any, str], Any]) -> Any:
        try:
            return rule(value, path)
        except Invalid as error:
            self.errors += [FieldError(path, one.fault, one.values) for one in error.errors]
            return value

    def _attribute(self, node: Node, path: str) -> dict[str, Any]:
        name = self._one(node["attribute"], f"{path}.attribute", lambda text, _: check_name(text))
        given = [one for one in COMPARISONS if one in node]
        if len(given) != 1:
            self.refuse(path, Fault.FILTER_COMPARISON, allowed=", ".join(COMPARISONS))
            return {}
        how = given[0]
        value, place = node[how], f"{path}.{how}"
        if how == "exists":
            if not isinstance(value, bool):
                self.refuse(place, Fault.NOT_A_FLAG)
            return {"attribute": name, how: value}
        if how == "between":
            if not isinstance(value, list | tuple) or len(value) != 2:
                self.refuse(place, Fault.FILTER_BETWEEN)
                return {}
            self.values += 2
            return {
                "attribute": name,
                how: [self._one(one, f"{place}.{number}", _ordered) for number, one in enumerate(value)],
            }
        if how == "one_of":
            return {"attribute": name, how: self._each(value, place, _operand)}
        self.values += 1
        return {"attribute": name, how: self._one(value, place, _OPERANDS[how])}

    def _mailing(self, node: Node, path: str) -> dict[str, Any]:
        mailing_id = self._one(node["mailing"], f"{path}.mailing", _mailing_id)
        statuses = self._each(node.get("status") or list(MessageStatus), f"{path}.status", _status)
        if not node.get("status"):
            self.values -= len(statuses)
            return {"mailing": mailing_id}
        return {"mailing": mailing_id, "status": statuses}


def _operand(value: Any, path: str) -> Any:
    """A value to compare attributes with: one that they may have, or `{"today": days}`."""
    if not is_today(value):
        return check_value(value)
    days = value.get("today")
    if set(value) != {"today"} or isinstance(days, bool) or not isinstance(days, int) or abs(days) > MOST_DAYS:
        raise Invalid.of(path, Fault.FILTER_TODAY, most=MOST_DAYS)
    return {"today": days}


def _ordered(value: Any, path: str) -> Any:
    """A value that has an order."""
    kept = _operand(value, path)
    if not is_today(kept) and order_of(kept) is None:
        raise Invalid.of(path, Fault.FILTER_ORDER)
    return kept


def _beginning(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise Invalid.of(path, Fault.NOT_A_STRING)
    return str(check_value(value))


def _mailing_id(value: Any, path: str) -> str:
    if not (isinstance(value, str) and is_mailing_id(value)):
        raise Invalid.of(path, Fault.NO_ID_OF_A_MAILING)
    return value


def _status(value: Any, path: str) -> str:
    if value not in list(MessageStatus):
        raise Invalid.of(path, Fault.NOT_A_CHOICE, allowed=", ".join(MessageStatus))
    return str(value)


def _of_language(value: str, path: str) -> str:
    return check_language(value, path) if value else ""


_OPERANDS: Mapping[str, Callable[[Any, str], Any]] = {
    "equal": _operand,
    "less": _ordered,
    "greater": _ordered,
    "begins_with": _beginning,
}
_RULES: Mapping[str, Callable[[Any, str], Any]] = {
    "tag": check_tag,
    "operator": check_operator,
    "language": _of_language,
    "timezone": check_timezone,
}
_KINDS = ("all", "any", "not", *_RULES, "attribute", "mailing")
