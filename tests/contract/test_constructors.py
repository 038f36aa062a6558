"""Objects of many parts are built by keyword: nobody counts to the ninth argument."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST = 4
TABLES = {"Metric"}  # rows of a table, which are read as such


def _many(path: Path) -> list[str]:
    """The calls of classes with more than MOST positional arguments."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and len(node.args) > MOST and isinstance(node.func, ast.Name):
            name = node.func.id
            if (name[0].isupper() or name == "cls") and name not in TABLES:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}")
    return found


def test_objects_of_many_parts_are_built_by_keyword() -> None:
    """Expects no more than four positional arguments."""
    assert [one for path in sorted((ROOT / "chalicelib").rglob("*.py")) for one in _many(path)] == []
