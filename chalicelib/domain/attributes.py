"""What somebody notes of a client besides their fields: named values that are texts, numbers, yes or no, or dates.

A date is a text such as 2026-03-02. In a CSV file each attribute has a column, such as `attributes.first_name`, in
whose cells a value of any kind is a word; `cell_of` and `value_of` are each other's opposites.
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
    """Checked values by name, in the order of names. They are kept as a JSON text, which is read at the first look.

    Two are equal if their texts are, so that yes is not taken for 1.
    """

    __slots__ = ("_values", "text")

    def __init__(self, text: str = "") -> None:
        """`text` is that of other attributes; `attributes_of` checks what people give."""
        self.text = text
        self._values: dict[str, Value] | None = None

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Attributes:
        """The attributes of values that were checked."""
        ordered = {name: values[name] for name in sorted(values)}
        return cls(json.dumps(ordered, ensure_ascii=False, separators=(",", ":")) if ordered else "")

    def over(self, others: Mapping[str, Value]) -> Attributes:
        """These and those of the others that have other names."""
        return Attributes.of({**others, **self})

    @property
    def fault(self) -> tuple[Fault, int] | None:
        """What is wrong with so many of them, and the most that there may be; None if nothing is."""
        if len(self) > MOST_ATTRIBUTES:
            return Fault.TOO_MANY_VALUES, MOST_ATTRIBUTES
        if len(self.text.encode()) > MOST_BYTES:
            return Fault.ATTRIBUTES_TOO_LARGE, MOST_BYTES
        return None

    def __getitem__(self, name: str) -> Value:
        return self._read()[name]

    def get(self, name: str, default: Any = None) -> Any:
        """As of any mapping; the inherited one raises for what is not there, and this is asked for each message."""
        return self._read().get(name, default)

    def copy(self) -> dict[str, Value]:
        """Their values by name."""
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
    """The attributes that somebody gives. Raises Invalid with each wrong one, as `attributes.first_name`."""
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
    """The name of an attribute. Raises Invalid if it is not in its plain form, such as first_name."""
    if not _is_plain(name):
        raise Invalid.of("attributes", Fault.ATTRIBUTE_NAME)
    return name


def _is_plain(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name == plain_name(name)


def plain_name(text: str) -> str:
    """A name as attributes have them: First Name, FirstName and first-name are all first_name."""
    text = unicodedata.normalize("NFKC", text.strip())
    text = re.sub(r"(?<=[^\W\d_A-Z])(?=[A-Z])", "_", text)
    return re.sub(r"[\W_]+", "_", text.lower()).strip("_")


def column_attribute(column: str) -> str:
    """The attribute that the column of a file names, such as `attributes.first_name`, `Attributes.FirstName` or
    `User.UserAttributes.FirstName`; "" if it is no such column.
    """
    prefix = _PREFIXES.match(column)
    name = plain_name(column[prefix.end() :]) if prefix else ""
    return name if _is_plain(name) else ""


def attribute_for(column: str) -> str:
    """The attribute that a column of any name could become, as a field, such as `attributes.first_name`; "" if none."""
    name = column_attribute(column) or plain_name(column)
    return PREFIX + name if _is_plain(name) else ""


def check_value(value: object) -> Value:
    """A value as it is kept: a text in NFC without surrounding spaces, a whole number if it is one.

    Raises Invalid if it is of no kind that a value may have, or too long.
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
    """A value as the cell of a file. A text that would be read as something else has an apostrophe in front."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    return guarded(value) if isinstance(_typed(value), str) else f"'{value}"


def word_of(value: Value) -> str:
    """A value as people enter it into a form, where nothing is run as a formula; `value_of` reads it too."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith("'") or not isinstance(_typed(value), str) else value
    return cell_of(value)


def value_of(cell: str) -> Value:
    """The value of a cell that is not empty: yes or no, a number as a computer writes it, else a text.

    01 and 12.50 are texts, for as numbers they would not stay as they are.
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
