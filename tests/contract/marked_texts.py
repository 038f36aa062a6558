"""The texts of the admin UI's own pages: those marked for translation."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from jinja2 import nodes

from chalicelib.admin import rendering

ADMIN = Path(rendering.__file__).parent
Marked = tuple[str, str]  # a text and its plural, "" if it has none
_MARKS = {"_": 1, "gettext": 1, "ngettext": 2}


def marked() -> dict[Marked, str]:
    """Each marked text in templates and code, with one place where it is used."""
    found: dict[Marked, str] = {}
    for path in sorted((ADMIN / "templates").rglob("*.html")):
        source = path.read_text(encoding="utf-8")
        for line, function, message in rendering.environment().extract_translations(source):  # type: ignore[attr-defined]
            if function in _MARKS:
                texts = message if isinstance(message, tuple) else (message,)
                found[_entry(texts[: _MARKS[function]])] = f"{path.name}:{line}"
    for path in sorted(ADMIN.rglob("*.py")):
        for call in _calls(path):
            count = _MARKS.get(_name(call), 0)
            texts = [argument.value for argument in call.args[:count] if isinstance(argument, ast.Constant)]
            if count and len(texts) == count:
                found[_entry(texts)] = f"{path.name}:{call.lineno}"
    return found


def _entry(texts: object) -> Marked:
    first, *plural = texts  # type: ignore[misc]
    return first, plural[0] if plural else ""


def unmarked() -> Iterator[tuple[str, int]]:
    """Where code marks something other than a literal text, which no tool could find to translate."""
    for path in sorted((ADMIN / "templates").rglob("*.html")):
        for node in rendering.environment().parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):
            name = node.node.name if isinstance(node.node, nodes.Name) else ""
            if name in _MARKS and not isinstance(node.args[0], nodes.Const):
                yield path.name, node.lineno
    for path in sorted(set(ADMIN.rglob("*.py")) - {ADMIN / "texts.py"}):
        for call in _calls(path):
            if _name(call) in _MARKS and not isinstance(call.args[0], ast.Constant):
                yield path.name, call.lineno


def _calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def _name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
