"""Filters over clients in requests and answers. `domain.filters` says what is allowed, and what it means."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictStr,
    WithJsonSchema,
    model_serializer,
)

from ..domain.attributes import MAX_NAME, MOST_BYTES
from ..domain.filter_checks import MOST_DAYS
from ..domain.filters import Filter
from ..domain.tags import MAX_TAG_LENGTH
from .fields import Body, OneOrMore, OperatorCode

_TODAY = {
    "type": "object",
    "properties": {"today": {"type": "integer", "minimum": -MOST_DAYS, "maximum": MOST_DAYS}},
    "required": ["today"],
    "additionalProperties": False,
    "description": "The date so many days from today where the client lives; negative is before.",
}
_NUMBER, _DATE = {"type": "number"}, {"type": "string", "format": "date"}
_VALUE = {"anyOf": [{"type": "string", "maxLength": MOST_BYTES}, _NUMBER, {"type": "boolean"}, _TODAY]}
_BOUND = {"anyOf": [_NUMBER, _DATE, _TODAY]}
# Checked by the domain, which gives the path of a wrong one.
Operand = Annotated[Any, WithJsonSchema(_VALUE)]
Operands = Annotated[Any, WithJsonSchema({"type": "array", "items": _VALUE, "minItems": 1})]
Bound = Annotated[Any, WithJsonSchema(_BOUND)]
Bounds = Annotated[Any, WithJsonSchema({"type": "array", "items": _BOUND, "minItems": 2, "maxItems": 2})]
_Name = Annotated[StrictStr, Field(max_length=MAX_TAG_LENGTH)]


FILTER_EXAMPLE: dict[str, Any] = {
    "all": [
        {"any": [{"tag": "vip"}, {"attribute": "visits", "greater": 10}]},
        {"attribute": "last_visit", "less": {"today": -30}},
        {"not": {"language": "de"}},
    ]
}


class FilterBody(Body):
    """A condition on clients: `all`, `any` or `not` of other conditions, or one of `tag`, `operator`, `language`,
    `timezone` (each one value or several, any of them), `attribute` or `mailing`.

    `attribute` is compared by one of `equal`, `one_of`, `less`, `greater`, `between` (both bounds belong to it),
    `exists` or `begins_with`; numbers with numbers, dates with dates, and `{"today": -30}` is 30 days ago. `mailing`
    is met by who is in an earlier mailing, with one of the statuses in `status` if it is given. A condition on what a
    client does not have is not met. At most 5 levels and 50 values.
    """

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        json_schema_extra={"examples": [FILTER_EXAMPLE]},
    )

    all: list[FilterBody] | None = None
    any: list[FilterBody] | None = None
    none: FilterBody | None = Field(default=None, alias="not")
    tag: OneOrMore[_Name] | None = None
    operator: OneOrMore[OperatorCode] | None = None
    language: OneOrMore[_Name] | None = None
    timezone: OneOrMore[_Name] | None = None
    attribute: Annotated[StrictStr, Field(max_length=MAX_NAME, examples=["visits"])] | None = None
    equal: Operand | None = None
    one_of: Operands | None = None
    less: Bound | None = None
    greater: Bound | None = None
    between: Bounds | None = None
    exists: StrictBool | None = None
    begins_with: StrictStr | None = None
    mailing: StrictStr | None = Field(default=None, examples=["01JNB1Y7E8X8X3T5QZK9M2C4VD"])
    status: OneOrMore[_Name] | None = Field(default=None, examples=["sent"])

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only the fields that were given."""
        return {"not" if name == "none" else name: value for name, value in handler(self).items() if value is not None}

    def node(self) -> dict[str, Any]:
        """The tree as the domain checks it."""
        return self.model_dump(mode="json")

    @classmethod
    def of(cls, kept: Filter) -> FilterBody:
        return cls.model_validate(kept.node)
