"""Reading requests: bytes to JSON to a model, with every flaw a Malformed or an Invalid that names its field."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ..domain.errors import FieldError, Invalid, Malformed
from .problems import TooLarge, UnsupportedMedia

M = TypeVar("M", bound=BaseModel)
JSON = "application/json"
MAX_JSON = 256 * 1024  # bytes
_MAX_DIGITS = 400  # of a number in JSON; any double has fewer
_MAX_ERRORS = 50
_MAX_NAME = 100

# What is wrong, in our words; other errors of Pydantic keep its own.
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "string_type": "must be a string",
    "string_unicode": "must not hold half of a surrogate pair",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing_size": "is too large",
    "finite_number": "must be a finite number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be {expected}",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "too_short": "must have at least {min_length} values",
    "too_long": "must have at most {max_length} values",
}


def check_content_type(header: str, wanted: str) -> None:
    """UnsupportedMedia where the content type is another; UTF-8 is the one charset."""
    kind, *parameters = (part.strip().lower() for part in header.split(";"))
    charsets = [value.strip('"') for name, _, value in (one.partition("=") for one in parameters) if name == "charset"]
    if kind != wanted or any(charset not in ("utf-8", "utf8") for charset in charsets):
        raise UnsupportedMedia(f"send {wanted} in UTF-8")


def read_text(raw: bytes, limit: int) -> str:
    """The body as text; TooLarge beyond `limit` bytes, Malformed where it is no UTF-8."""
    if len(raw) > limit:
        raise TooLarge(f"the body has {len(raw)} bytes, and at most {limit} are taken")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(f"the body is no UTF-8 at byte {error.start}") from error


def read_json(raw: bytes) -> Any:
    """The body as JSON, by the letter of RFC 8259; a name that comes twice in an object is refused too."""
    text = read_text(raw, MAX_JSON)
    if not text.strip():
        raise Malformed("the body is empty; send a JSON object")
    try:
        return json.loads(text, parse_constant=_no_constant, parse_int=_integer, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is no JSON: {error.msg}, line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise Malformed("the body is nested too deeply") from error


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"the body is no JSON: {name} is no number")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise Malformed(f"the body holds a number of {len(digits)} digits")
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise Malformed("the body holds an object in which a name comes twice")
    return values


def validate(model: type[M], values: Any) -> M:
    """The values as a model; Invalid names each field that is wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise Invalid(*_field_errors(error.errors(include_url=False, include_input=False))) from error
    except RecursionError as error:
        raise Malformed("the body is nested too deeply") from error


def _field_errors(errors: Iterable[ErrorDetails]) -> list[FieldError]:
    found: list[FieldError] = []
    for error in errors:
        # A part in angle brackets names a branch of a union, no field.
        parts = [str(part)[:_MAX_NAME] for part in error["loc"] if not str(part).startswith("<")]
        message = _MESSAGES.get(error["type"], "").format(**error.get("ctx", {})) or error["msg"]
        found.append(FieldError(".".join(parts) or "body", message))
    return found[:_MAX_ERRORS]


def read_query(model: type[M], parameters: Mapping[str, Sequence[str]]) -> M:
    """The query as a model. A field that is a list may be given several times, any other once."""
    values: dict[str, Any] = {}
    for name, given in parameters.items():
        field = model.model_fields.get(name)
        if field is not None and _is_list(field.annotation):
            values[name] = list(given)
        elif len(given) > 1:
            raise Invalid.of(name[:_MAX_NAME], "must be given once")
        else:
            values[name] = given[0]
    return validate(model, values)


def _is_list(annotation: Any) -> bool:
    return typing.get_origin(annotation) is list
