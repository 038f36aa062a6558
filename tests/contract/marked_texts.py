"""The texts that people read in the admin UI: those marked for translation, and messages that other code writes."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from jinja2 import nodes

from chalicelib.admin import rendering
from chalicelib.api import parsing, problems

PACKAGE = Path(rendering.__file__).parents[1]
ADMIN = PACKAGE / "admin"
Marked = tuple[str, str]  # a text and its plural, "" where it has none
_MARKS = {"_": 1, "gettext": 1, "ngettext": 2}
# What an operator is told of: errors with their message.
_ERRORS = {"Conflict", "NotFound", "Forbidden", "TooManyRequests", "Malformed", "Unauthenticated", "Invalid", "refused"}
_ERRORS |= {"FieldError", "TooLarge", "UnsupportedMedia"}
_NAMED = {"refused", "what", "changeable"}  # variables that hold one, or a part of a message
_OF_A_FIELD = {"Invalid", "FieldError"}  # the field's name comes first


def marked() -> dict[Marked, str]:
    """What is marked in templates and code, with a place where it stands."""
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
    """Where code marks something that is no text, which nobody could find to translate."""
    for path in sorted((ADMIN / "templates").rglob("*.html")):
        for node in rendering.environment().parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):
            name = node.node.name if isinstance(node.node, nodes.Name) else ""
            if name in _MARKS and not isinstance(node.args[0], nodes.Const):
                yield path.name, node.lineno
    for path in sorted(set(ADMIN.rglob("*.py")) - {ADMIN / "texts.py"}):
        for call in _calls(path):
            if _name(call) in _MARKS and not isinstance(call.args[0], ast.Constant):
                yield path.name, call.lineno


def written() -> dict[str, str]:
    """What the rest of the service says to people, with a place; where a value goes into it stands a 7."""
    found = dict.fromkeys(_parsed(), "parsing")
    for kind in (*problems.PROBLEMS.values(), problems.UNEXPECTED):
        found[kind.title] = found[kind.meaning] = "problems"
    for path in sorted(PACKAGE.rglob("*.py")):
        if ADMIN in path.parents or path.parent.name == "emails":
            continue
        for call in _calls(path):
            for text in _told(call):
                found[text] = f"{path.name}:{call.lineno}"
        for text in _parts(ast.parse(path.read_text(encoding="utf-8"))):
            found[text] = path.name
    return found


def _parsed() -> Iterator[str]:
    class Sevens(dict[str, str]):
        def __missing__(self, name: str) -> str:
            return "7"

    for message in parsing._MESSAGES.values():
        yield message.format_map(Sevens())


def _told(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func).removesuffix(".of")
    if name not in _ERRORS or not call.args:
        return
    text = _sample(call.args[1 if name in _OF_A_FIELD and len(call.args) > 1 else 0])
    if text and not text.startswith("no hint") and not text.startswith("no unit"):
        yield text


def _parts(module: ast.Module) -> Iterator[str]:
    """What is put into a message, or said of a dead letter that stays."""
    known = {
        one.targets[0].id: one.value.value
        for one in module.body
        if isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name) and isinstance(one.value, ast.Constant)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).partition("[")[0] in _NAMED:
            yield from filter(None, (_sample(value, known) for value in _alternatives(node.value)))


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    return node.values if isinstance(node, ast.BoolOp) else [node]


def _sample(node: ast.AST, known: Mapping[str, object] = MappingProxyType({})) -> str:
    """The text of a constant or an f-string, "" where it is neither."""
    if isinstance(node, ast.Name) and isinstance(known.get(node.id), str):
        return str(known[node.id])
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            _sample(one.value if isinstance(one, ast.FormattedValue) else one, known) or "7" for one in node.values
        )
    return ""


def _calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def _name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
