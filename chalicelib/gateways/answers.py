"""Finding values in a gateway's answer."""

from __future__ import annotations

import json
import re
from typing import Any

CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")  # a code in an answer that may be stored and shown
_MOST = 100  # items of a list that are looked at


def json_of(body: bytes | None) -> Any:
    """The answer as JSON, None if it is not JSON."""
    try:
        return json.loads(body or b"")
    except (ValueError, RecursionError):
        return None


def words_of(body: bytes | None) -> list[str]:
    """The words of a plain-text answer, without quotation marks around them."""
    text = (body or b"").decode("utf-8", "replace")
    return [word.strip("\"'") for word in text.split()[:_MOST]]


def found_at(content: Any, way: str) -> list[str | int | float]:
    """The texts and numbers at a path such as `messages.*.status`. All parts of the path must exist."""
    found = _at(content, way)
    return [one for one in found if isinstance(one, str | int | float) and not isinstance(one, bool) and one != ""]


def first_at(content: Any, way: str | None) -> str | int | float:
    """The first text or number at a path, "" if there is none."""
    found = found_at(content, way) if way else []
    return found[0] if found else ""


def is_empty_list(content: Any, way: str) -> bool:
    """Whether there is an empty list at a path."""
    return _at(content, way) == [[]]


def _at(content: Any, way: str) -> list[Any]:
    found = [content]
    for step in way.split("."):
        deeper: list[Any] = []
        for one in found:
            if isinstance(one, dict) and step in one:
                deeper.append(one[step])
            elif isinstance(one, list) and step == "*":
                deeper += one[:_MOST]
            elif isinstance(one, list) and step.isdigit() and int(step) < len(one):
                deeper.append(one[int(step)])
            else:
                return []
        found = deeper
    return found
