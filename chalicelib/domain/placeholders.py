"""Texts with placeholders: a small closed language, in which an operator names values of a client.

`{{first_name}}` is a value. `{{first_name|friend}}` is the value, or else the words after the bar. Between `{{#city}}`
and `{{/city}}` stands what appears only if there is a value. There is nothing else: no code, no loops, no nested
sections. A value is inserted as it is; placeholders in it are not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from .errors import FieldError
from .faults import Fault

OPENING = "{{"
MOST_PLACEHOLDERS = 50  # of a text
_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_INSIDE = re.compile(r"\s*([#/]?)\s*([^\W\d_]\w{0,39})\s*(?:\|([^{}|]*))?", re.DOTALL)
# The values of a client besides their attributes.
FIELDS = frozenset({"phone_number", "operator", "tag", "timezone", "language", "external_id"})


class Piece(NamedTuple):
    """Words that everybody gets; or, with a `name`, a value, or the words if there is no such value.

    `needed`: the value has no words to replace it. `within`: the piece appears only if there is a value of that name.
    """

    words: str
    name: str = ""
    needed: bool = False
    within: str = ""


@dataclass(frozen=True)
class ParsedText:
    """A text, parsed once for all clients."""

    pieces: tuple[Piece, ...]

    @cached_property
    def plain(self) -> bool:
        """Whether everybody gets the same text."""
        return not self.names

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all values that it uses, in their order."""
        return tuple(sorted({name for piece in self.pieces for name in (piece.name, piece.within) if name}))

    def fill(self, values: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        """The text for a person with these values, and the names of the values that it needs and that are missing.

        Missing values are left empty.
        """
        shown: list[str] = []
        missing: dict[str, None] = {}
        for words, name, needed, within in self.pieces:
            if within and not values.get(within):
                continue
            value = values.get(name) if name else words
            if needed and not value:
                missing[name] = None
            shown.append(value or words)
        return "".join(shown), tuple(missing)


@lru_cache(maxsize=256)
def parsed_text(text: str) -> ParsedText:
    """Parse a text. An older text that cannot be parsed is one piece, which is sent as it is."""
    parsed, faults = _read(text) if OPENING in text else (None, ())
    return ParsedText((Piece(text),)) if parsed is None or faults else parsed


def check_placeholders(text: str, field: str = "text") -> list[FieldError]:
    """What is wrong with the placeholders of a text."""
    if OPENING not in text:
        return []
    return [FieldError(field, fault, values) for fault, values in _read(text)[1]]


_Faults = list[tuple[Fault, dict[str, object]]]


def _read(text: str) -> tuple[ParsedText, _Faults]:
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
    """Parses a text into pieces."""

    def __init__(self) -> None:
        self.faults: _Faults = []
        self._pieces: list[Piece] = []
        self._section = ""

    def literal(self, words: str) -> None:
        if OPENING in words:
            self.faults.append((Fault.PLACEHOLDER_OPEN, {"text": words[words.index(OPENING) :][:60]}))
        if words:
            self._pieces.append(Piece(words, within=self._section))

    def tag(self, sign: str, name: str, default: str | None) -> None:
        if sign == "#":
            if self._section:
                self.faults.append((Fault.SECTION_IN_SECTION, {"name": name, "outer": self._section}))
            self._section = name
            self._pieces.append(Piece("", within=name))  # so that the name is known, even if the section is empty
        elif sign == "/":
            self._close(name)
        else:
            self._pieces.append(Piece((default or "").strip(), name, default is None, self._section))

    def end(self) -> ParsedText:
        if self._section:
            self.faults.append((Fault.SECTION_OPEN, {"name": self._section}))
        return ParsedText(tuple(self._pieces))

    def _close(self, name: str) -> None:
        if name != self._section:
            self.faults.append((Fault.SECTION_NOT_OPENED, {"name": name}))
            return
        self._section = ""
