"""Tags: labels that people give clients, and that mailings select clients by."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from .errors import Invalid
from .faults import Fault

MAX_TAG_LENGTH = 64  # characters
MOST_TAGS = 20  # of a client
MOST_BYTES = 1024  # of all tags of a client together, in UTF-8
# Joiners: they make one sign of several, in Persian and Indian words, emoji of families, and flags of regions.
_JOINERS = frozenset({"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))})
_SEPARATORS = ";|,"  # in a cell, the first of these that it contains


@lru_cache(maxsize=4096)  # a file has a few, in each row
def check_tag(tag: str, field: str = "tag") -> str:
    """The tag as it is stored: in NFC, with plain spaces and none around it, without invisible characters.

    So it matches what people type. Raises Invalid if it is too long or has control characters.
    """
    tag = unicodedata.normalize("NFC", "".join(map(_as_typed, tag))).strip()
    if len(tag) > MAX_TAG_LENGTH:
        raise Invalid.of(field, Fault.TOO_LONG, most=MAX_TAG_LENGTH)
    if not all(one.isprintable() or one in _JOINERS for one in tag):
        raise Invalid.of(field, Fault.CONTROL_CHARACTERS)
    return tag


def check_name(name: str, field: str = "name") -> str:
    """A name as it is stored, which is like a tag. Raises Invalid as `check_tag` does, or if nothing is left."""
    name = check_tag(name, field)
    if not name:
        raise Invalid.of(field, Fault.EMPTY)
    return name


def check_tags(tags: Sequence[str], field: str = "tags") -> tuple[str, ...]:
    """The tags as they are stored, each once, in order, without empty ones.

    Raises Invalid as `check_tag` does, or if there are too many.
    """
    kept = tuple(dict.fromkeys(tag for tag in (check_tag(one, field) for one in tags) if tag))
    if len(kept) > MOST_TAGS:
        raise Invalid.of(field, Fault.TOO_MANY_VALUES, most=MOST_TAGS)
    if sum(len(tag.encode()) for tag in kept) > MOST_BYTES:
        raise Invalid.of(field, Fault.ATTRIBUTES_TOO_LARGE, most=MOST_BYTES)
    return kept


def led_by(first: str, tags: Sequence[str], field: str = "tag") -> tuple[str, ...]:
    """All tags of a client, if both `tag` and `tags` may be given. Raises Invalid if the first is not one of them."""
    if not first:
        return tuple(tags)
    if first not in tags:
        raise Invalid.of(field, Fault.TAG_NOT_AMONG_TAGS)
    return tuple(dict.fromkeys((first, *tags)))


def tags_of(cell: str) -> list[str]:
    """The tags in a cell or a field: a list as JSON, or separated by semicolons, else by bars, else by commas.

    A tag may be in quotation marks, as Mailchimp writes them.
    """
    if cell.startswith("["):
        try:
            listed = json.loads(cell)
        except (ValueError, RecursionError):
            listed = None
        if isinstance(listed, list) and all(isinstance(one, str | int | float) for one in listed):
            return [str(one) for one in listed]
    separator = next((one for one in _SEPARATORS if one in cell and not cell.startswith('"')), ",")
    try:
        rows = list(csv.reader([cell], delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error:
        rows = [cell.split(separator)]
    return [tag.strip() for row in rows for tag in row if tag.strip()]


def cell_of(tags: Sequence[str], between: str = "; ") -> str:
    """Tags as one text that `tags_of` can read: separated, or as a JSON list if that would be ambiguous."""
    text = between.join(tags)
    return text if tags_of(text) == list(tags) else json.dumps(list(tags), ensure_ascii=False)


def _as_typed(sign: str) -> str:
    """A character of a tag: a plain space instead of any other space, "" if it is invisible."""
    if sign.isprintable() or sign in _JOINERS:
        return sign
    category = unicodedata.category(sign)
    return " " if category == "Zs" else "" if category == "Cf" else sign
