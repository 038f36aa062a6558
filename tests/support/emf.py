"""CloudWatch's embedded metric format, by its public specification, and its records in a log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator as Validator

# The schema of "Specification: Embedded metric format" in the CloudWatch user guide, with the limits of its text.
_NAME = {"type": "string", "minLength": 1, "maxLength": 1024}
_UNITS = [
    *("Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits"),
    *("Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second"),
    *("Megabytes/Second", "Gigabytes/Second", "Terabytes/Second", "Bits/Second", "Kilobits/Second", "Megabits/Second"),
    *("Gigabits/Second", "Terabits/Second", "Count/Second", "None"),
]
_DEFINITION = {
    "type": "object",
    "required": ["Name"],
    "properties": {
        "Name": _NAME,
        "Unit": {"enum": _UNITS},
        "StorageResolution": {"enum": [1, 60]},
    },
}
_DIRECTIVE = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "properties": {
        "Namespace": {**_NAME, "pattern": "^[a-zA-Z0-9._#:/-]+$"},
        "Dimensions": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "maxItems": 30, "items": {**_NAME, "maxLength": 250}},
        },
        "Metrics": {"type": "array", "minItems": 1, "maxItems": 100, "items": _DEFINITION},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 0},
                "CloudWatchMetrics": {"type": "array", "minItems": 1, "items": _DIRECTIVE},
            },
        }
    },
}
_RECORD = Validator(SCHEMA)
_VALUE = Validator({"type": ["number", "array"], "items": {"type": "number"}, "minItems": 1, "maxItems": 100})
_DIMENSION = Validator({"type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^[\\x20-\\x7e]+$"})
_MAX_BYTES = 256 * 1024  # of one event of CloudWatch Logs


@dataclass(frozen=True, slots=True)
class Emitted:
    """The values of one metric in one record; `dimensions` without `service`."""

    name: str
    unit: str
    service: str
    dimensions: tuple[tuple[str, str], ...]
    values: tuple[float, ...]


def records(log: str) -> list[dict[str, Any]]:
    """Every line of a log that is a record with metrics."""
    lines = (json.loads(line) for line in log.splitlines() if line.startswith("{"))
    return [line for line in lines if "_aws" in line]


def check(record: dict[str, Any]) -> None:
    """Raise if CloudWatch would drop a record, or a part of it."""
    _RECORD.validate(record)
    assert len(json.dumps(record)) <= _MAX_BYTES
    for directive in record["_aws"]["CloudWatchMetrics"]:
        # Each name is the key of a target in the record's root.
        for definition in directive["Metrics"]:
            _VALUE.validate(record[definition["Name"]])
        for names in directive["Dimensions"]:
            for name in names:
                _DIMENSION.validate(record[name])


def emitted(log: str) -> Iterator[Emitted]:
    """Every metric in a log, each record of which is checked."""
    for record in records(log):
        check(record)
        (directive,) = record["_aws"]["CloudWatchMetrics"]
        ((first, *rest),) = (sorted(names, key="service".__ne__) for names in directive["Dimensions"])
        assert first == "service"
        dimensions = tuple((name, record[name]) for name in rest)
        for one in directive["Metrics"]:
            values = record[one["Name"]]
            yield Emitted(one["Name"], one["Unit"], record["service"], dimensions, tuple(values))
