"""The models and field types that several resources share."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from ..domain.clients import check_operator
from ..domain.errors import Invalid
from ..domain.faults import Fault
from ..domain.segments import MAX_SEGMENT_VALUES

T = TypeVar("T")

_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    r"([Zz]|[+-][0-9]{2}:?[0-9]{2})?"
)
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Body(BaseModel):
    """The base of request bodies; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    def content(self) -> str:
        """The content for an `Idempotency-Key`: the same text for bodies with the same meaning.

        Fields with their default are left out, so that a request is recognised by a version that adds a field.
        """
        return json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)


def example(values: dict[str, Any]) -> ConfigDict:
    """The `model_config` of a body with an example that can be sent as it is."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class View(BaseModel):
    """The base of answers, in which every field is always there."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


def refused(fault: Fault, **values: object) -> PydanticCustomError:
    """The error of a field, for `parsing` to read."""
    return PydanticCustomError("refused", "refused", {"fault": fault, "values": values})


def by_rule(rule: Callable[[str], str]) -> AfterValidator:
    """A check of the domain as a validator. Its Invalid becomes the error of its field."""

    def check(value: str) -> str:
        try:
            return rule(value)
        except Invalid as error:
            raise refused(error.errors[0].fault, **error.errors[0].values) from error

    return AfterValidator(check)


def _moment(value: Any) -> datetime:
    match = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise refused(Fault.NOT_A_MOMENT)
    day, time, second, fraction, offset = match.groups()
    if not offset:
        raise refused(Fault.MOMENT_WITHOUT_OFFSET)
    try:
        text = f"{day}T{time}:{second or '00'}.{fraction or '0':0<6.6}{offset.upper()}"
        moment = datetime.fromisoformat(text)
        if not _FIRST <= moment < _LAST:
            raise OverflowError
        return moment.astimezone(UTC)
    except ValueError as error:
        raise refused(Fault.NO_SUCH_MOMENT) from error
    except OverflowError as error:
        raise refused(Fault.MOMENT_TOO_FAR) from error


def _operator(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 999:
        value = f"{value:03d}"
    if not isinstance(value, str):
        raise refused(Fault.OPERATOR)
    try:
        return check_operator(value)
    except Invalid as error:
        raise refused(error.errors[0].fault, **error.errors[0].values) from error


def query_integer(value: Any) -> int:
    """A whole number in a query."""
    if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,9}", value):
        raise refused(Fault.NOT_A_WHOLE_NUMBER)
    return int(value)


def query_flag(value: Any) -> bool:
    """true or false in a query."""
    if value not in ("true", "false"):
        raise refused(Fault.NOT_A_FLAG)
    return bool(value == "true")


@lru_cache(maxsize=1024)  # see `from_ms`
def _moment_text(value: datetime) -> str:
    utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return f"{utc.isoformat(timespec='milliseconds')[:-6]}Z"


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-02T09:00:00+03:00"]}),
]
# Answers are in UTC, in whole milliseconds.
MomentOut = Annotated[
    datetime,
    PlainSerializer(_moment_text),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-02T06:00:00.000Z"]}),
]
OperatorCode = Annotated[
    str,
    BeforeValidator(_operator),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^[0-9]{3}$"},
                {"type": "integer", "minimum": 0, "maximum": 999},
            ],
            "examples": ["916"],
        }
    ),
]
Flag = Annotated[bool, BeforeValidator(query_flag), WithJsonSchema({"type": "boolean"})]
# One value or a list of values. The labels distinguish the two while reading, and are left out of a field's path.
OneOrMore = Annotated[
    Annotated[T, Tag("<one>")] | Annotated[list[T], Field(min_length=1, max_length=MAX_SEGMENT_VALUES), Tag("<list>")],
    Discriminator(lambda value: "<list>" if isinstance(value, list) else "<one>"),
]
