"""A client in requests, forms and answers: how each field is written and read."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictStr, WithJsonSchema

from ..domain.attributes import MAX_NAME, MOST_ATTRIBUTES, MOST_BYTES, Value, check_name, check_value
from ..domain.clients import (
    CLIENT_FIELDS,
    MAX_EXTERNAL_ID,
    Client,
    ClientFields,
    check_external_id,
    check_language,
    check_timezone,
    operator_of,
)
from ..domain.errors import Invalid
from ..domain.phone_numbers import MAX_LENGTH, check_shape, normalize_phone
from ..domain.segments import MAX_SEGMENT_VALUES, Segment
from ..domain.tags import MAX_TAG_LENGTH, MOST_TAGS, check_tag, led_by
from .fields import Body, MomentOut, OperatorCode, View, by_rule, example, refused
from .paging import PageQuery

_FIELDS = attrgetter(*CLIENT_FIELDS)
# Whether it exists is checked where its country is known.
PhoneNumber = Annotated[StrictStr, by_rule(check_shape), Field(max_length=MAX_LENGTH, examples=["+79161234567"])]
InternationalNumber = Annotated[
    StrictStr, by_rule(normalize_phone), Field(max_length=MAX_LENGTH, examples=["+79161234567"])
]
_LANGUAGE = "The language that the client reads, as a short BCP 47 code (`ru`, `pt-BR`); empty if it is not known."
_TAGS = "Up to 20 tags, each once, together at most 1,024 bytes in UTF-8."
_ATTRIBUTES = (
    "What else is known about the client: up to 30 texts, numbers, yes or no (`true`, `false`) and dates "
    "(`2026-03-02`) by name, together at most 1,024 bytes as JSON in UTF-8. Names have small letters, digits and "
    "underscores."
)
_EXTERNAL_ID = (
    "The id that your own system has for the client, which no other client can have; empty if there is none. It is "
    "kept in NFC, without spaces around it."
)
Country = Annotated[StrictStr, Field(pattern="^([A-Z]{2})?$", examples=["DE"])]
Tag = Annotated[StrictStr, by_rule(check_tag), Field(max_length=MAX_TAG_LENGTH, examples=["vip"])]
TimeZone = Annotated[StrictStr, by_rule(check_timezone), Field(max_length=64, examples=["Europe/Moscow"])]


class CountryQuery(BaseModel):
    """`country` is that of a number without a country code (ISO 3166, two letters); the setting DEFAULT_COUNTRY if it
    is absent.
    """

    model_config = ConfigDict(extra="forbid")

    country: Country = ""


def _attribute_value(value: object) -> Value | None:
    try:
        return check_value(value)
    except Invalid as error:
        raise refused(error.errors[0].fault, **error.errors[0].values) from error


Language = Annotated[
    StrictStr,
    by_rule(lambda text: check_language(text) if text else ""),
    Field(max_length=20, examples=["ru"]),
]
ExternalId = Annotated[StrictStr, by_rule(check_external_id), Field(max_length=MAX_EXTERNAL_ID, examples=["crm-1042"])]
_VALUE_SCHEMA = [{"type": "string", "maxLength": MOST_BYTES}, {"type": "number"}, {"type": "boolean"}]
AttributeName = Annotated[StrictStr, by_rule(check_name), Field(max_length=MAX_NAME, examples=["first_name"])]
AttributeValue = Annotated[Any, BeforeValidator(_attribute_value), WithJsonSchema({"anyOf": _VALUE_SCHEMA})]
AttributeChange = Annotated[
    Any,
    BeforeValidator(lambda value: None if value is None else _attribute_value(value)),
    WithJsonSchema({"anyOf": [*_VALUE_SCHEMA, {"type": "null"}]}),
]


class ClientBody(Body):
    """A client. `operator` is 3 digits, as a string or a number. If it is absent or null, it is taken from a +7
    number. `tag` is short for `tags` with one; if both are given, `tags` must contain `tag`, which becomes the first.
    """

    model_config = example({"phone_number": "+79161234567", "tags": ["vip", "news"], "timezone": "Europe/Moscow"})

    phone_number: PhoneNumber
    operator: OperatorCode | None = None
    tag: Tag = ""
    tags: list[Tag] = Field(default=[], description=_TAGS, max_length=MOST_TAGS)
    timezone: TimeZone = "UTC"
    opted_out: StrictBool = False
    language: Language = Field(default="", description=_LANGUAGE)
    attributes: dict[AttributeName, AttributeValue] = Field(
        default={}, description=_ATTRIBUTES, max_length=MOST_ATTRIBUTES
    )
    external_id: ExternalId = Field(default="", description=_EXTERNAL_ID)

    def fields(self) -> ClientFields:
        """The fields. Raises Invalid if `tag` is not among `tags`."""
        return ClientFields(**{**self.model_dump(exclude={"tag"}), "tags": self.all_tags})

    @property
    def all_tags(self) -> tuple[str, ...]:
        """The tags that `tag` and `tags` say together. Raises Invalid as `fields` does."""
        return led_by(self.tag, self.tags if "tags" in self.model_fields_set else [self.tag])


class ClientPatch(ClientBody):
    """The fields of a client to change. Absent fields stay as they are."""

    model_config = example({"tag": "vip"})

    phone_number: PhoneNumber = ""
    attributes: dict[AttributeName, AttributeChange] = Field(
        default={},
        description=f"{_ATTRIBUTES} Those that are not named stay as they are; null removes one.",
        max_length=MOST_ATTRIBUTES,
    )

    def over(self, client: Client) -> ClientFields:
        """The client's fields with these in their place. An operator that came from the number follows the number."""
        current = client.fields
        if "phone_number" in self.model_fields_set and client.operator == operator_of(client.phone_number):
            current = replace(current, operator=None)
        changed = {**client.attributes, **self.attributes}
        attributes = {name: value for name, value in changed.items() if value is not None}
        tags = self.all_tags if self.model_fields_set & {"tag", "tags"} else client.tags
        said = self.model_dump(exclude_unset=True, exclude={"tag"})
        return replace(current, **{**said, "tags": tags, "attributes": attributes})


class ClientView(View):
    """A client in an answer. `operator` is 3 digits as a string, or null if it is unknown. `tag` is the first of
    `tags`, empty if there is none.

    `unreachable` clients get no mailings, unless these include them: three messages to their number could not be
    delivered within 90 days.
    """

    id: str
    phone_number: str
    operator: str | None
    tag: str
    tags: list[str]
    timezone: str
    opted_out: bool
    language: str
    attributes: dict[str, AttributeValue]
    external_id: str
    unreachable: bool
    created_at: MomentOut
    updated_at: MomentOut

    @classmethod
    def of(cls, client: Client) -> ClientView:
        said = dict(zip(CLIENT_FIELDS, _FIELDS(client), strict=True))
        said["operator"], said["attributes"] = client.operator or None, client.attributes.copy()
        return cls(
            id=client.client_id,
            tag=client.tag,
            **said,
            unreachable=client.unreachable,
            created_at=client.created_at,
            updated_at=client.updated_at,
        )


class ClientQuery(PageQuery):
    """`tag` and `operator` may be given several times: any of them. A client is found by any of their tags."""

    tag: list[Tag] = Field(default=[], max_length=MAX_SEGMENT_VALUES)
    operator: list[OperatorCode] = Field(default=[], max_length=MAX_SEGMENT_VALUES)

    def segment(self) -> Segment:
        return Segment.checked(tuple(self.tag), tuple(self.operator))


class ClientListQuery(ClientQuery):
    """`external_id` finds the one client who has it, if they also have one of the tags and operators."""

    external_id: ExternalId | None = None
