"""Templates: texts with a name and versions, which mailings can be made from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from .tags import MAX_TAG_LENGTH

MAX_NAME_LENGTH = MAX_TAG_LENGTH
ID_BYTES = 10  # makes an id longer than a client's and shorter than a mailing's
_ID = re.compile(f"[0-9a-f]{{{2 * ID_BYTES}}}")


@dataclass(frozen=True, slots=True)
class TemplateLink:
    """The template that a mailing's text is from: its version, and the name that it had."""

    template_id: str
    version: int
    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """One version of a template, which never changes; the next one takes the next number, from 1 on.

    `deleted`: the template is in no list any more. Mailings made from it keep their copies.
    """

    template_id: str
    version: int
    name: str
    text: str
    texts: tuple[tuple[str, str], ...]  # by language, as a mailing has them
    changed_at: datetime
    changed_by: str
    deleted: bool = False

    @property
    def link(self) -> TemplateLink:
        return TemplateLink(self.template_id, self.version, self.name)

    def says(self, name: str, text: str, texts: tuple[tuple[str, str], ...]) -> bool:
        """Whether it has exactly this content."""
        return (self.name, self.text, self.texts) == (name, text, texts)


@dataclass(frozen=True, slots=True)
class TemplateEntry:
    """A template in the list: its newest version, with only the beginning of the text."""

    template_id: str
    version: int
    name: str
    begins: str
    changed_at: datetime
    changed_by: str


def is_template_id(text: str) -> bool:
    """Whether the text could be a template's id."""
    return _ID.fullmatch(text) is not None
