"""Texts with placeholders: a small closed language, in which an operator names values of a client.

`{{first_name}}` is a value. `{{first_name|friend}}` is the value, or else the words after the bar. Between `{{#city}}`
and `{{/city}}` stands what appears only if there is a value. There is nothing else: no code, no loops, no section in a
section. A value is put in as it is, and what stands in it means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from .errors import FieldError
from .faults import Fault

OPENING = "{{"
MOST_PLACEHOLDERS = 50  # of a text
_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_INSIDE = re.compile(r"\s*([#/]?)\s*([^\W\d_]\w{0,39})\s*(?:\|([^{}|]*))?", re.DOTALL)
# What a client always has, or may have, besides their attributes.
FIELDS = frozenset({"phone_number", "operator", "tag", "timezone", "language", "external_id"})


@dataclass(frozen=True, slots=True)
class Literal:
    """Words that everybody gets as they are."""

    words: str


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A value by its name; `default` takes its place if there is none, None if nothing may."""

    name: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """What appears only if there is a value of that name."""

    name: str
    parts: tuple[Literal | Placeholder, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A text, read. It has placeholders, or it is one literal."""

    parts: tuple[Literal | Placeholder | Section, ...]

    @property
    def plain(self) -> bool:
        """Whether everybody gets the same."""
        return all(isinstance(part, Literal) for part in self.parts)

    @property
    def names(self) -> frozenset[str]:
        """The names of all values that it asks for."""
        return frozenset(_names(self.parts))

    def missing(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The names of values that it cannot do without and that are not there, in their order."""
        shown = _shown(self.parts, values)
        wanted = [one.name for one in shown if isinstance(one, Placeholder) and one.default is None]
        return tuple(dict.fromkeys(name for name in wanted if not values.get(name)))

    def render(self, values: Mapping[str, str]) -> str:
        """The text for who has these values; what is missing is left empty."""
        return "".join(
            part.words if isinstance(part, Literal) else values.get(part.name) or part.default or ""
            for part in _shown(self.parts, values)
        )


def _names(parts: Iterable[Literal | Placeholder | Section]) -> Iterable[str]:
    for part in parts:
        if not isinstance(part, Literal):
            yield part.name
        if isinstance(part, Section):
            yield from _names(part.parts)


def _shown(
    parts: Iterable[Literal | Placeholder | Section], values: Mapping[str, str]
) -> Iterable[Literal | Placeholder]:
    for part in parts:
        if not isinstance(part, Section):
            yield part
        elif values.get(part.name):
            yield from part.parts


@lru_cache(maxsize=256)
def template_of(text: str) -> Template:
    """The template that a text is. What cannot be read, in an older text, stands for itself."""
    template, faults = _read(text) if OPENING in text else (None, ())
    return Template((Literal(text),)) if template is None or faults else template


def check_template(text: str, field: str = "text") -> list[FieldError]:
    """What is wrong with the placeholders of a text."""
    if OPENING not in text:
        return []
    return [FieldError(field, fault, values) for fault, values in _read(text)[1]]


_Faults = list[tuple[Fault, dict[str, object]]]


def _read(text: str) -> tuple[Template, _Faults]:
    reader = _Reader()
    end = 0
    for count, tag in enumerate(_TAG.finditer(text)):
        reader.literal(text[end : tag.start()])
        end = tag.end()
        inside = _INSIDE.fullmatch(tag[1])
        if count == MOST_PLACEHOLDERS:
            reader.faults.append((Fault.TOO_MANY_PLACEHOLDERS, {"most": MOST_PLACEHOLDERS}))
            break
        if inside is None or (inside[1] and inside[3] is not None):
            reader.faults.append((Fault.PLACEHOLDER, {"text": tag[0][:60]}))
        else:
            reader.tag(inside[1], inside[2], inside[3])
    reader.literal(text[end:])
    return reader.end(), reader.faults


class _Reader:
    """Puts the parts of a text together."""

    def __init__(self) -> None:
        self.faults: _Faults = []
        self._parts: list[Literal | Placeholder | Section] = []
        self._inner: list[Literal | Placeholder] = []
        self._section = ""

    def literal(self, words: str) -> None:
        if OPENING in words:
            self.faults.append((Fault.PLACEHOLDER_OPEN, {"text": words[words.index(OPENING) :][:60]}))
        if words:
            self._add(Literal(words))

    def tag(self, sign: str, name: str, default: str | None) -> None:
        if sign == "#":
            if self._section:
                self.faults.append((Fault.SECTION_IN_SECTION, {"name": name, "outer": self._section}))
            self._section = name
        elif sign == "/":
            self._close(name)
        else:
            self._add(Placeholder(name, None if default is None else default.strip()))

    def end(self) -> Template:
        if self._section:
            self.faults.append((Fault.SECTION_OPEN, {"name": self._section}))
        return Template(tuple(self._parts))

    def _close(self, name: str) -> None:
        if name != self._section:
            self.faults.append((Fault.SECTION_NOT_OPENED, {"name": name}))
            return
        self._parts.append(Section(name, tuple(self._inner)))
        self._inner, self._section = [], ""

    def _add(self, part: Literal | Placeholder) -> None:
        (self._inner if self._section else self._parts).append(part)
