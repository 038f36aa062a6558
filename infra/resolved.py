"""A template with the values of its parameters filled in, for engines that take no parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NOTHING = {"Ref": "AWS::NoValue"}
_VARIABLES = "Variables"  # of a function: texts, which stay references


class _Nothing:
    """A missing value."""


def resolved(template: Mapping[str, Any], values: Mapping[str, str], *, texts: bool = False) -> dict[str, Any]:
    """The template with its conditions resolved, and numbers and booleans instead of references to parameters.

    Parts that a condition leaves out are removed. Texts, lists and the variables of functions stay references, unless
    `texts`, because every engine reads those. The parameters stay.
    """
    parameters: Mapping[str, Any] = template.get("Parameters", {})
    known = {name: values.get(name, str(one.get("Default", ""))) for name, one in parameters.items()}
    decided: dict[str, bool] = {}
    for name, condition in template.get("Conditions", {}).items():
        decided[name] = _holds(condition, known, decided)
    typed = {name: _typed(one, known[name]) for name, one in parameters.items()}
    kept = "" if texts else _VARIABLES
    typed = {name: value for name, value in typed.items() if texts or not isinstance(value, str)}
    result = dict(template)
    for section in ("Resources", "Outputs"):
        if section in template:
            result[section] = {
                name: _in_place(one, typed, decided, kept)
                for name, one in template[section].items()
                if decided.get(one.get("Condition", ""), True)
            }
            for one in result[section].values():
                one.pop("Condition", None)
    result.pop("Conditions", None)
    return result


def _typed(parameter: Mapping[str, Any], value: str) -> Any:
    if parameter["Type"] == "Number":
        return float(value) if "." in value else int(value)
    return value == "true" if set(parameter.get("AllowedValues", ())) == {"true", "false"} else value


def _holds(condition: Any, known: Mapping[str, str], decided: Mapping[str, bool]) -> bool:
    """Whether a condition holds. Raises KeyError if it uses something that is not read here."""
    ((function, given),) = condition.items()
    if function == "Condition":
        return decided[given]
    if function == "Fn::Equals":
        left, right = (_text(one, known) for one in given)
        return left == right
    parts = [_holds(one, known, decided) for one in given]
    return {"Fn::Not": not parts[0], "Fn::And": all(parts), "Fn::Or": any(parts)}[function]


def _text(value: Any, known: Mapping[str, str]) -> str:
    if not isinstance(value, dict):
        return str(value)
    ((function, given),) = value.items()
    # A list's value is written with commas, as it is given.
    return known[{"Ref": given}[function]] if function == "Ref" else _text({"Fn::Join": given}[function][1], known)


def _in_place(value: Any, typed: Mapping[str, Any], decided: Mapping[str, bool], kept: str) -> Any:
    """The value without what a condition leaves out. Otherwise, whatever is under the key `kept` stays as it is."""
    if isinstance(value, list):
        found = [_in_place(one, typed, decided, kept) for one in value]
        return [one for one in found if not isinstance(one, _Nothing)]
    if not isinstance(value, dict):
        return value
    if value == _NOTHING:
        return _Nothing()
    if set(value) == {"Ref"}:
        return typed.get(value["Ref"], value)
    if set(value) == {"Fn::If"}:
        name, yes, no = value["Fn::If"]
        return _in_place(yes if decided[name] else no, typed, decided, kept)
    parts = {key: _in_place(one, {} if key == kept else typed, decided, kept) for key, one in value.items()}
    return {key: one for key, one in parts.items() if not isinstance(one, _Nothing)}
