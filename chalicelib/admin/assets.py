"""The stylesheet and scripts: our own, and htmx as its package brings it."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path

_OWN = Path(__file__).with_name("static")
MEDIA_TYPES = {
    "admin.css": "text/css; charset=utf-8",
    "admin.js": "text/javascript; charset=utf-8",
    "htmx.js": "text/javascript; charset=utf-8",
    "export.js": "text/javascript; charset=utf-8",
    "files.js": "text/javascript; charset=utf-8",
    "following.js": "text/javascript; charset=utf-8",
    "import.js": "text/javascript; charset=utf-8",
}


@cache
def content(name: str) -> str:
    """The text of a file."""
    if name == "htmx.js":
        return (resources.files("js_lib_htmx") / "static" / "htmx" / "htmx.min.js").read_text(encoding="utf-8")
    return (_OWN / name).read_text(encoding="utf-8")


@cache
def version(name: str) -> str:
    """A text that changes with the file's content."""
    return hashlib.sha256(content(name).encode()).hexdigest()[:12]


def path_of(name: str) -> str:
    """The path of a file for pages."""
    return f"/admin/static/{name}?v={version(name)}"
