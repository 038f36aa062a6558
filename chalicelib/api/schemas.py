"""Corrections of Pydantic's schemas, so that generated clients send what their users set and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

Schema = dict[str, Any]
REF = "#/components/schemas/{model}"
_NULL = {"type": "null"}


def tidy(node: Any) -> Any:
    """A schema, or an object with schemas, without empty defaults, and with null as one of a value's types.

    An empty default means "not given" here and is mostly not an allowed value. Some generators make a class of a member
    that is only null; beside a `$ref` there is no other way to write it.
    """
    if isinstance(node, list):
        return [tidy(one) for one in node]
    if not isinstance(node, dict):
        return node
    tidied = {key: tidy(value) for key, value in node.items() if key != "default" or value}
    return _with_null_as_type(tidied)


def tidy_parameter(schema: Schema) -> Schema:
    """The same for a parameter of a query, which is given or left out and is never null."""
    members = [one for one in schema.get("anyOf", ()) if one != _NULL]
    if len(members) == 1:
        schema = {key: value for key, value in schema.items() if key != "anyOf"} | members[0]
    tidied: Schema = tidy(schema)
    return tidied


def drop_defaults(schemas: dict[str, Schema], names: Iterable[str], *, told: bool) -> None:
    """Remove all defaults from these schemas and those that they refer to. `told`: mention them in descriptions.

    Some generated clients send a default as if it had been set; in a PATCH that would change a field by mistake. Others
    require a field with a default.
    """
    seen: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        for one in walk(schemas[name]):
            default = one.pop("default", None)
            if told and default is not None:
                by_default = f"Default: `{json.dumps(default)}`."
                one["description"] = " ".join(filter(None, (one.get("description"), by_default)))
            if "$ref" in one:
                left.append(model_of(one))


def walk(node: Any) -> Iterator[Schema]:
    """Every object in a schema, including itself."""
    if isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def model_of(ref: Schema) -> str:
    """The name of the schema that a `$ref` points to."""
    return str(ref["$ref"]).rpartition("/")[2]


def _with_null_as_type(schema: Schema) -> Schema:
    members = schema.get("anyOf")
    if not isinstance(members, list) or _NULL not in members:
        return schema
    first, *others = [one for one in members if one != _NULL]
    nullable = _nullable(first)
    if nullable is None:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return rest | ({"anyOf": [nullable, *others]} if others else nullable)


def _nullable(schema: Schema) -> Schema | None:
    """The schema that allows null too; None if it cannot be expressed."""
    if isinstance(schema.get("type"), str) and "enum" not in schema and "const" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    for key in ("oneOf", "anyOf"):
        if key in schema:
            first, *others = schema[key]
            nullable = _nullable(first)
            return None if nullable is None else {**schema, key: [nullable, *others]}
    return None
