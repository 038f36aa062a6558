"""Reading requests: bytes to JSON to a model. Every problem is a Malformed, or an Invalid that names its field."""

from __future__ import annotations

import json
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ..domain.errors import FieldError, Invalid, Malformed
from ..domain.faults import Fault
from ..domain.file_texts import FileText, text_of
from ..domain.workbooks import is_workbook
from .problems import TooLarge, UnsupportedMedia

M = TypeVar("M", bound=BaseModel)
JSON = "application/json"
MAX_JSON = 256 * 1024  # bytes
CSV = "text/csv"
BYTES = "application/octet-stream"  # which API Gateway passes on unchanged
# Lambda accepts 6 MB, where every line break counts twice. 100,000 rows with all columns have about 4.5 MB.
MAX_CSV = 5_000_000  # bytes
MAX_WORKBOOK = 4_400_000  # bytes, which become a third more in the event for Lambda
_FILES = (
    CSV,
    "text/plain",
    "text/tab-separated-values",
    "application/x-ndjson",
    "application/jsonl",
    "application/gzip",
    BYTES,
)
MOST_UNPACKED = 25_000_000  # bytes of such a file when it is unpacked
_MAX_DIGITS = 400  # digits of a number in JSON; any double has fewer
_MAX_ERRORS = 50
_MAX_NAME = 100

# The fault for each of Pydantic's error types, and its values; other errors keep Pydantic's words.
_FAULTS: dict[str, tuple[Fault, dict[str, str]]] = {
    "missing": (Fault.REQUIRED, {}),
    "extra_forbidden": (Fault.UNKNOWN_FIELD, {}),
    "string_type": (Fault.NOT_A_STRING, {}),
    "string_unicode": (Fault.HALF_A_CHARACTER, {}),
    "string_too_short": (Fault.TOO_SHORT, {"least": "min_length"}),
    "string_too_long": (Fault.TOO_LONG, {"most": "max_length"}),
    "string_pattern_mismatch": (Fault.PATTERN, {"pattern": "pattern"}),
    "bool_type": (Fault.NOT_A_FLAG, {}),
    "int_type": (Fault.NOT_A_WHOLE_NUMBER, {}),
    "int_parsing_size": (Fault.NUMBER_TOO_LARGE, {}),
    "finite_number": (Fault.NOT_FINITE, {}),
    "greater_than_equal": (Fault.LESS_THAN_ALLOWED, {"least": "ge"}),
    "less_than_equal": (Fault.MORE_THAN_ALLOWED, {"most": "le"}),
    "enum": (Fault.NOT_A_CHOICE, {"allowed": "expected"}),
    "model_type": (Fault.NOT_AN_OBJECT, {}),
    "model_attributes_type": (Fault.NOT_AN_OBJECT, {}),
    "dict_type": (Fault.NOT_AN_OBJECT, {}),
    "list_type": (Fault.NOT_A_LIST, {}),
    "too_short": (Fault.TOO_FEW_VALUES, {"least": "min_length"}),
    "too_long": (Fault.TOO_MANY_VALUES, {"most": "max_length"}),
}


def check_content_type(header: str, wanted: str) -> None:
    """Raises UnsupportedMedia if the content type is another one, or the charset is not UTF-8."""
    kind, *parameters = (part.strip().lower() for part in header.split(";"))
    charsets = [value.strip('"') for name, _, value in (one.partition("=") for one in parameters) if name == "charset"]
    if kind in _FILES and wanted == CSV:
        return
    if kind != wanted or (any(charset not in ("utf-8", "utf8") for charset in charsets)):
        raise UnsupportedMedia(Fault.WRONG_CONTENT_TYPE, kind=wanted)


def read_text(raw: bytes, limit: int) -> str:
    """The body as text. Raises TooLarge if it has more than `limit` bytes, Malformed if it is not UTF-8."""
    if len(raw) > limit:
        raise TooLarge(Fault.BODY_TOO_LARGE, bytes=len(raw), limit=limit)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(Fault.BODY_NOT_UTF8, place=error.start) from error


def read_file(raw: bytes, limit: int, content_type: str, sheet: str = "") -> FileText:
    """An uploaded file as text. The charset is detected, unless the content type names one other than UTF-8.

    `sheet` is for a workbook. Raises TooLarge if the file has more than `limit` bytes, packed or not, and Invalid if it
    is not text, or a workbook without this sheet.
    """
    if len(raw) > limit:
        raise TooLarge(Fault.BODY_TOO_LARGE, bytes=len(raw), limit=limit)
    check_workbook(raw)
    charset = re.search(r"charset=\"?([A-Za-z0-9_.:-]{1,40})", content_type, re.IGNORECASE)
    told = charset[1].lower() if charset else ""
    return text_of(raw, "" if told in ("utf-8", "utf8") else told, MOST_UNPACKED, sheet)


def check_workbook(raw: bytes) -> None:
    """Raises Invalid if a file is a workbook that is too large for Lambda."""
    if len(raw) > MAX_WORKBOOK and is_workbook(raw):
        raise Invalid.of("file", Fault.WORKBOOK_TOO_LARGE, most=MAX_WORKBOOK)


def read_json(raw: bytes) -> Any:
    """The body as JSON, strictly by RFC 8259. Raises Malformed if not, or if an object has a name twice."""
    text = read_text(raw, MAX_JSON)
    if not text.strip():
        raise Malformed(Fault.BODY_EMPTY)
    try:
        return json.loads(text, parse_constant=_no_constant, parse_int=_integer, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise Malformed(Fault.BODY_NOT_JSON, what=error.msg, line=error.lineno, column=error.colno) from error
    except RecursionError as error:
        raise Malformed(Fault.BODY_TOO_DEEP) from error


def _no_constant(name: str) -> NoReturn:
    raise Malformed(Fault.BODY_NOT_A_NUMBER, name=name)


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise Malformed(Fault.BODY_NUMBER_TOO_LONG, digits=len(digits))
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise Malformed(Fault.BODY_NAME_TWICE)
    return values


def validate(model: type[M], values: Any) -> M:
    """The values as a model. Raises Invalid with each wrong field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise Invalid(*_field_errors(error.errors(include_url=False, include_input=False))) from error
    except RecursionError as error:
        raise Malformed(Fault.BODY_TOO_DEEP) from error


def _field_errors(errors: Iterable[ErrorDetails]) -> list[FieldError]:
    found: list[FieldError] = []
    for error in errors:
        # A part in angle brackets is a branch of a union, not a field; [key] means that a name is wrong, not a value.
        parts = [str(part)[:_MAX_NAME] for part in error["loc"] if not str(part).startswith("<") and part != "[key]"]
        fault, values = _fault(error)
        found.append(FieldError(".".join(parts) or "body", fault, values))
    return found[:_MAX_ERRORS]


def _fault(error: ErrorDetails) -> tuple[Fault, dict[str, object]]:
    context = error.get("ctx", {})
    if error["type"] == "refused":  # by one of our own validators
        return context["fault"], context["values"]
    if error["type"] not in _FAULTS:
        return Fault.AS_TOLD, {"text": error["msg"]}
    fault, names = _FAULTS[error["type"]]
    return fault, {name: context[theirs] for name, theirs in names.items()}


def read_query(model: type[M], parameters: Mapping[str, Sequence[str]]) -> M:
    """The query as a model. A field that is a list may be given several times, any other once."""
    values: dict[str, Any] = {}
    for name, given in parameters.items():
        field = model.model_fields.get(name)
        if field is not None and _is_list(field.annotation):
            values[name] = list(given)
        elif len(given) > 1:
            raise Invalid.of(name[:_MAX_NAME], Fault.GIVEN_TWICE)
        else:
            values[name] = given[0]
    return validate(model, values)


def _is_list(annotation: Any) -> bool:
    return typing.get_origin(annotation) is list
