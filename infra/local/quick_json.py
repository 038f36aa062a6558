"""JSON for MiniStack with pydantic's parser and writer, which take a third of the time.

What these refuse, such as half of a surrogate pair, is handled by the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pydantic_core import from_json, to_json

Respond = Callable[..., tuple[int, dict[str, str], bytes]]


def loads(text: str | bytes | bytearray, **options: Any) -> Any:
    """The value of a JSON text. Raises json.JSONDecodeError as the standard library does."""
    if options:
        return json.loads(text, **options)
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)


def dumps(value: Any) -> bytes:
    """The JSON of a value, in UTF-8 and without spaces."""
    try:
        return to_json(value)
    except ValueError:
        return json.dumps(value, separators=(",", ":")).encode()


def reading(module: ModuleType) -> ModuleType:
    """The module `json` with these `loads`; its writing stays the same, because its texts may be shown to callers."""
    quick = ModuleType(module.__name__)
    quick.__dict__.update(vars(module), loads=loads)
    return quick


def answering(respond: Respond) -> Respond:
    """The function `json_response` for JSON 1.0, whose bodies have no spaces now."""
    content_type = respond({})[1]

    def answered(data: Any, status: int = 200, **options: Any) -> tuple[int, dict[str, str], bytes]:
        if options:
            return respond(data, status, **options)
        try:
            return status, dict(content_type), to_json(data)
        except ValueError:
            return respond(data, status)

    return answered
