"""Attributes: named values of a client besides their fields. A value is a text, a number, yes or no, or a date.

A date is a text such as 2026-03-02. In a CSV file each attribute has a column, such as `attributes.first_name`.
`cell_of` writes a value into a cell, `value_of` reads it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from .csv_cells import guarded, unguarded
from .errors import FieldError, Invalid
from .faults import Fault

Value = str | int | float | bool
MOST_ATTRIBUTES = 30  # of a client
MOST_BYTES = 1024  # of a client's attributes, as they are stored
MOST_NAMES = 500  # that all clients together may have; each is a column of an export
MAX_NAME = 40  # characters
PREFIX = "attributes."
_PREFIXES = re.compile(r"\s*(?:attributes?\s*[.:]|user\.userattributes\.)\s*", re.IGNORECASE)
_NAME = re.compile(rf"[^\W\d_]\w{{0,{MAX_NAME - 1}}}")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,17})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# As spreadsheets write them, in English and in Russian.
_FLAGS: Mapping[str, bool] = {"true": True, "false": False, "истина": True, "ложь": False}


class Attributes(Mapping[str, Value]):
    """Checked values by name, in the order of names.

    They are kept as a JSON text, which is parsed when they are first read.

    Two are equal if their texts are, so that yes is not taken for 1.
    """

    __slots__ = ("_values", "text")

    def __init__(self, text: str = "") -> None:
        """`text` is the JSON of attributes that were checked; use `attributes_of` for what people enter."""
        self.text = text
        self._values: dict[str, Value] | None = None

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Attributes:
        """Attributes with these values, which must have been checked."""
        ordered = {name: values[name] for name in sorted(values)}
        return cls(json.dumps(ordered, ensure_ascii=False, separators=(",", ":")) if ordered else "")

    def over(self, others: Mapping[str, Value]) -> Attributes:
        """Both together. These win if a name is in both."""
        return Attributes.of({**others, **self})

    @property
    def fault(self) -> tuple[Fault, int] | None:
        """What is wrong if there are too many or they are too large, with the limit; None if nothing is."""
        if len(self) > MOST_ATTRIBUTES:
            return Fault.TOO_MANY_VALUES, MOST_ATTRIBUTES
        if len(self.text.encode()) > MOST_BYTES:
            return Fault.ATTRIBUTES_TOO_LARGE, MOST_BYTES
        return None

    def __getitem__(self, name: str) -> Value:
        return self._read()[name]

    def get(self, name: str, default: Any = None) -> Any:
        """As in any mapping.

        The inherited one raises and catches KeyError, which is slow, and this is called for each message.
        """
        return self._read().get(name, default)

    def copy(self) -> dict[str, Value]:
        """The values by name, as a new dict."""
        return self._read().copy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attributes) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Attributes({self.text!r})"

    def _read(self) -> dict[str, Value]:
        if self._values is None:
            self._values = json.loads(self.text) if self.text else {}
        return self._values


NONE = Attributes()


def attributes_of(given: Mapping[str, object]) -> Attributes:
    """Attributes from what a person or program gives.

    Raises Invalid with each wrong one, such as `attributes.first_name`.
    """
    if isinstance(given, Attributes):
        return given
    values: dict[str, Value] = {}
    errors: list[FieldError] = []
    for name, value in given.items():
        try:
            values[check_name(name)] = check_value(value)
        except Invalid as error:
            errors += [FieldError(PREFIX + name[:MAX_NAME], one.fault, one.values) for one in error.errors]
    if errors:
        raise Invalid(*errors)
    made = Attributes.of(values)
    if made.fault:
        raise Invalid.of("attributes", made.fault[0], most=made.fault[1])
    return made


def check_name(name: str) -> str:
    """Return the name. Raises Invalid if it is not in its plain form, such as first_name."""
    if not _is_plain(name):
        raise Invalid.of("attributes", Fault.ATTRIBUTE_NAME)
    return name


def _is_plain(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name == plain_name(name)


def plain_name(text: str) -> str:
    """A name in the form of attributes: First Name, FirstName and first-name all become first_name."""
    text = unicodedata.normalize("NFKC", text.strip())
    text = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", "_", text)
    return re.sub(r"[\W_]+", "_", text.lower()).strip("_")


def column_attribute(column: str) -> str:
    """The attribute that a column names, "" if none.

    Columns may be called `attributes.first_name`, `Attributes.FirstName` or `User.UserAttributes.FirstName`.
    """
    prefix = _PREFIXES.match(column)
    name = plain_name(column[prefix.end() :]) if prefix else ""
    return name if _is_plain(name) else ""


def attribute_for(column: str) -> str:
    """The attribute that a column's name can become, such as `attributes.first_name`, "" if none."""
    name = column_attribute(column) or plain_name(column)
    return PREFIX + name if _is_plain(name) else ""


def check_value(value: object) -> Value:
    """A value as it is kept: a text in NFC without surrounding spaces, a whole number if it is one.

    Raises Invalid if it is too long, or neither text, number nor boolean.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if not _NUMBER.fullmatch(repr(number)):
            raise Invalid.of("attributes", Fault.ATTRIBUTE_NUMBER)
        return number
    if not isinstance(value, str):
        raise Invalid.of("attributes", Fault.ATTRIBUTE_VALUE)
    text = unicodedata.normalize("NFC", value).strip()
    if any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in text):
        raise Invalid.of("attributes", Fault.CONTROL_CHARACTERS)
    if not text:
        raise Invalid.of("attributes", Fault.EMPTY)
    return text


def is_date(value: Value) -> bool:
    """Whether a value is a date: a text such as 2026-03-02, of a day that exists."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def cell_of(value: Value) -> str:
    """A value as the cell of a file. A text that would be read back as another kind gets an apostrophe in front."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    return guarded(value) if isinstance(_typed(value), str) else f"'{value}"


def word_of(value: Value) -> str:
    """A value as people enter it into a form; `value_of` reads it. Without a guard, because a form runs no formulas."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith("'") or not isinstance(_typed(value), str) else value
    return cell_of(value)


def value_of(cell: str) -> Value:
    """The value of a cell that is not empty: yes or no, a number as a computer writes it, else a text.

    01 and 12.50 stay texts, because a number would lose their zeros.
    """
    text = unguarded(cell)
    if text == cell and cell.startswith("'") and not isinstance(_typed(cell[1:]), str):
        text = cell[1:]
    return _typed(cell) if text == cell else text


def _typed(text: str) -> Value:
    if text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    if _NUMBER.fullmatch(text):
        number: int | float = float(text) if "." in text else int(text)
        return number if repr(number) == text else text
    return text
