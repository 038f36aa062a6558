"""How the rows of an import are kept in items: in parts that fit one, compressed."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")


def parts_of(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of so many."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def packed(rows: list[list[Any]]) -> str:
    """Rows as a text that is stored."""
    return base64.b64encode(zlib.compress(json.dumps(rows, ensure_ascii=False).encode())).decode()


def unpacked(content: str) -> list[list[Any]]:
    """The rows of a stored text."""
    rows: list[list[Any]] = json.loads(zlib.decompress(base64.b64decode(content)))
    return rows
