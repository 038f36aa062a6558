"""Forms: the entered values and their errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import parse_qs

from pydantic import BaseModel

from ..domain.errors import Invalid, Malformed, ServiceError
from ..domain.faults import Fault
from ..web import parsing
from .texts import wrong

M = TypeVar("M", bound=BaseModel)
FORM = "application/x-www-form-urlencoded"
MAX_FORM = 128 * 1024  # bytes; the longest text of a mailing has 10 KB when encoded
_MAX_FIELDS = 2_000
CSRF_FIELD = "csrf"


@dataclass(frozen=True, slots=True)
class Form:
    """The values by field name. `problem` is an error that belongs to no field."""

    values: Mapping[str, list[str]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    submitted: bool = False

    def text(self, name: str) -> str:
        """A field's value without surrounding white space, "" if it is absent."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """A field's value as it was entered, with the line breaks that we use."""
        return self.values.get(name, [""])[-1].replace("\r\n", "\n")

    def texts(self, name: str) -> list[str]:
        """All values of a field that may come several times; empty ones are left out."""
        return [value.strip() for value in self.values.get(name, []) if value.strip()]

    def flag(self, name: str) -> bool:
        """Whether a checkbox was checked."""
        return name in self.values

    def shown(self, name: str, default: Any = "") -> str:
        """The value to show in the field: what was entered, else the default."""
        if self.submitted:
            return self.raw(name)
        return "" if default is None else str(default)

    def checked(self, name: str, default: bool = False) -> bool:
        """Whether the checkbox is checked: as it was entered, else the default."""
        return self.flag(name) if self.submitted else default

    def error(self, name: str) -> str:
        """The error of a field, "" if there is none."""
        return self.errors.get(name, "")

    def into(self, model: type[M], values: Mapping[str, Any]) -> M:
        """The values as a model of the API. Raises Invalid with the wrong fields."""
        return parsing.validate(model, dict(values))

    def refused(self, error: ServiceError, told: str) -> Form:
        """The form with the errors in an exception."""
        if isinstance(error, Invalid):
            errors: dict[str, str] = {}
            for one in error.errors:
                errors.setdefault(one.field, wrong(one))
            return replace(self, errors=errors)
        return replace(self, problem=told)


def read(raw: bytes) -> Form:
    """A form as a browser sends it. Raises TooLarge or Malformed if it cannot be read."""
    text = parsing.read_text(raw, MAX_FORM)
    try:
        values = parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise Malformed(Fault.FORM_UNREADABLE) from error
    return Form(values, submitted=True)
