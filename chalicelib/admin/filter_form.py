"""Filters in forms and in words: a list of conditions, of which all or any must match.

Filters with more levels, as in the API, are JSON in the form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ..domain.attributes import value_of, word_of
from ..domain.errors import FieldError, Invalid
from ..domain.faults import Fault
from ..domain.filters import Filter, Node, is_today
from ..domain.mailings import Mailing
from ..domain.statuses import MessageStatus
from ..services.mailing_fields import MISSED
from .forms import Form
from .texts import _, wrong

FIELD = "clients.filter"
MOST_ROWS = 10
_EMPTY_ROWS = 2  # empty rows besides those that are filled in
_ATTRIBUTE, _MAILING = "attribute:", "mailing:"
_FIELDS = ("tag", "operator", "language", "timezone")
_GOT = (MessageStatus.SENT,)
_PLACE = re.compile(rf"{re.escape(FIELD)}(?:\.not)?(?:\.(?:all|any)\.([0-9]+))?(?:\..*)?")


@dataclass(frozen=True, slots=True)
class Condition:
    """A row of the form: the field, the comparison and the value."""

    what: str = ""
    how: str = ""
    value: str = ""

    @classmethod
    def entered(cls, form: Form, row: int) -> Condition:
        return cls(*(form.text(f"{FIELD}.{row}.{name}") for name in ("what", "how", "value")))

    def node(self) -> Node:
        """The condition for the API. Raises Invalid if the field has no such comparison."""
        kind = self.what.partition(":")[0]
        name = self.what.partition(":")[2]
        allowed = _MAILING_HOWS if kind == "mailing" else _ATTRIBUTE_HOWS if kind == "attribute" else _FIELD_HOWS
        if self.how not in allowed:
            raise Invalid.of("how", Fault.FILTER_NOT_HERE, name=self.what)
        if kind == "mailing":
            return _about_mailing(name, self.how)
        if kind == "attribute":
            return _about_attribute(name, self.how, self.value)
        return _negated(self.how == "is_not", {kind: _values(self.value)})


_FIELD_HOWS = frozenset({"is", "is_not"})
_MAILING_HOWS = frozenset({"got", "missed", "not_in"})
_ATTRIBUTE_HOWS = _FIELD_HOWS | {"less", "greater", "between", "begins_with", "known", "unknown", "before", "within"}


def hows() -> list[tuple[str, str]]:
    """The comparisons and their names."""
    return [
        ("is", _("is")),
        ("is_not", _("is not")),
        ("less", _("is less than")),
        ("greater", _("is more than")),
        ("between", _("is between")),
        ("begins_with", _("begins with")),
        ("known", _("is known")),
        ("unknown", _("is not known")),
        ("before", _("is more days ago than")),
        ("within", _("is within the last days:")),
        ("got", _("was sent")),
        ("missed", _("did not reach them")),
        ("not_in", _("did not include them")),
    ]


def _values(text: str) -> list[str]:
    return [one.strip() for one in text.split(",")]


def _negated(negated: bool, node: Node) -> Node:
    return {"not": node} if negated else node


def _about_mailing(mailing_id: str, how: str) -> Node:
    if how == "not_in":
        return {"not": {"mailing": mailing_id}}
    return {"mailing": mailing_id, "status": [str(one) for one in (_GOT if how == "got" else MISSED)]}


def _about_attribute(name: str, how: str, text: str) -> Node:
    asked: dict[str, Any] = {"attribute": name}
    if how in ("known", "unknown"):
        return asked | {"exists": how == "known"}
    if how in ("before", "within"):
        days = int(text) if re.fullmatch(r"[0-9]{1,6}", text) else -1
        if days < 0:
            raise Invalid.of("value", Fault.NOT_A_WHOLE_NUMBER)
        past = {"today": -days}
        return asked | ({"less": past} if how == "before" else {"between": [past, {"today": 0}]})
    if how == "begins_with":
        return asked | {how: text}
    values = [value_of(one) if one else "" for one in _values(text)]
    if how == "between":
        return asked | {how: values}
    if how in ("less", "greater"):
        return asked | {how: value_of(text) if text else ""}
    return _negated(how == "is_not", asked | {"one_of": values})


# -- from the form


def read(form: Form) -> Any:
    """The filter in the form, for the API; None if nothing was entered. Wrong rows are left out; `errors` has them."""
    if text := form.text(f"{FIELD}.json"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    nodes = [node for _row, node in _rows(form)[0]]
    if not nodes:
        return None
    return nodes[0] if len(nodes) == 1 else {form.text(f"{FIELD}.how") or "all": nodes}


def errors(form: Form) -> list[FieldError]:
    """What is wrong with single rows."""
    return [] if form.text(f"{FIELD}.json") else _rows(form)[1]


def _rows(form: Form) -> tuple[list[tuple[int, Node]], list[FieldError]]:
    nodes: list[tuple[int, Node]] = []
    problems: list[FieldError] = []
    for row in range(MOST_ROWS):
        condition = Condition.entered(form, row)
        if not condition.what:
            continue
        try:
            nodes.append((row, condition.node()))
        except Invalid as error:
            problems += [replace(one, field=f"{FIELD}.{row}.{one.field}") for one in error.errors]
    return nodes, problems


def at_its_row(form: Form, error: FieldError) -> FieldError:
    """The error of a filter, moved to its row or to the JSON field."""
    place = _PLACE.fullmatch(error.field)
    if place is None:
        return error
    if form.text(f"{FIELD}.json"):
        told = _("%(value)s: %(problem)s", value=error.field.removeprefix(f"{FIELD}.")[:80], problem=wrong(error))
        return FieldError(f"{FIELD}.json", Fault.AS_TOLD, {"text": told})
    rows = [row for row, _node in _rows(form)[0]]
    number = int(place[1] or 0)
    return replace(error, field=f"{FIELD}.{rows[number] if number < len(rows) else 0}.value")


# -- to the form, and in words


def shown(wanted: Filter | None) -> dict[str, str]:
    """The values of the fields."""
    how, conditions = _conditions(wanted.node) if wanted else ("all", [])
    if conditions is None:
        return {f"{FIELD}.json": json.dumps(wanted.node if wanted else {}, ensure_ascii=False, indent=1)}
    rows = [*conditions, *[Condition()] * _EMPTY_ROWS][: max(MOST_ROWS, len(conditions))]
    values = {
        f"{FIELD}.{row}.{name}": getattr(one, name) for row, one in enumerate(rows) for name in ("what", "how", "value")
    }
    return {f"{FIELD}.how": how, **values}


def rows_shown(form: Form, values: Mapping[str, str]) -> list[int]:
    """The rows of the form: those that are filled in, and some empty ones."""
    filled = [row for row in range(MOST_ROWS) if form.shown(f"{FIELD}.{row}.what", values.get(f"{FIELD}.{row}.what"))]
    return list(range(min(MOST_ROWS, (max(filled) + 1 if filled else 0) + _EMPTY_ROWS)))


def _conditions(node: Node) -> tuple[str, list[Condition] | None]:
    """The rows for a filter, and whether all or any must match; None if rows cannot express it."""
    how = next((one for one in ("all", "any") if one in node), "all")
    rows = [_condition(one) for one in node.get(how, [node])]
    known = [row for row in rows if row]
    return how, known if len(known) == len(rows) <= MOST_ROWS else None


def _condition(node: Node) -> Condition | None:
    """The row for a condition, which gives the same condition again."""
    negated = "not" in node
    inner: Node = node["not"] if negated else node
    made: Condition | None = None
    if "mailing" in inner:
        statuses = set(inner.get("status", ()))
        how = "not_in" if negated else "got" if statuses == set(_GOT) else "missed"
        made = Condition(_MAILING + inner["mailing"], how)
    elif "attribute" in inner:
        made = _of_attribute(inner, negated)
    else:
        kind = next((one for one in _FIELDS if one in inner), None)
        if kind:
            made = Condition(kind, "is_not" if negated else "is", ", ".join(inner[kind]))
    return made if made and _same(made, node) else None


def _of_attribute(node: Node, negated: bool) -> Condition | None:
    what = _ATTRIBUTE + node["attribute"]
    for how in ("less", "greater", "between", "begins_with", "exists", "equal", "one_of"):
        if how not in node:
            continue
        operand = node[how]
        several = operand if isinstance(operand, list) else [operand]
        if how == "exists":
            return Condition(what, "known" if operand else "unknown")
        if all(is_today(one) for one in several):
            return Condition(what, "before" if how == "less" else "within", str(-several[0]["today"]))
        if any(is_today(one) for one in several):
            return None
        compared = {"equal": "is", "one_of": "is"}.get(how, how)
        text = operand if how == "begins_with" else ", ".join(map(word_of, several))
        return Condition(what, "is_not" if negated else compared, text)
    return None


def _same(condition: Condition, node: Node) -> bool:
    """Whether a row gives exactly this condition; one value is the same as a list of one."""
    try:
        made = condition.node()
    except Invalid:
        return False
    return bool(_plain(made) == _plain(node))


def _plain(node: Node) -> Any:
    if "not" in node:
        return {"not": _plain(node["not"])}
    listed = {name: one if isinstance(one, list) else [one] for name, one in node.items()}
    if "equal" in listed:
        listed["one_of"] = listed.pop("equal")
    return listed


def choices(attributes: Sequence[str], mailings: Sequence[Mailing]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The fields that can be compared, in groups: each has a title, and values with their names."""
    names = dict(zip(_FIELDS, (_("Tag"), _("Operator"), _("Language"), _("Time zone")), strict=True))
    return [
        (_("Clients"), list(names.items())),
        (_("Attributes"), [(_ATTRIBUTE + name, name) for name in attributes]),
        (_("Earlier mailings"), [(_MAILING + one.mailing_id, one.title) for one in mailings]),
    ]


def in_words(wanted: Filter | None, titles: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """The conditions of a filter, one on each line; a filter with more levels is shown as JSON.

    `titles` are the names of the mailings in it, by id.
    """
    if wanted is None:
        return []
    how, conditions = _conditions(wanted.node)
    if conditions is None:
        return [wanted.text]
    names = dict(choices((), ())[0][1]) | {_MAILING + one: f"“{title}”" for one, title in titles.items()}
    words = dict(hows())
    lines = [
        " ".join(filter(None, (names.get(one.what) or one.what.partition(":")[2], words[one.how], one.value)))
        for one in conditions
    ]
    return [f"{_('or')} {line}" if row and how == "any" else line for row, line in enumerate(lines)]
