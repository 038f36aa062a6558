"""What docs/ says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from chalicelib.api import problems

ROOT = Path(__file__).parents[2]


def test_every_problem_is_in_the_table_of_errors() -> None:
    """Expects each type once, with its status, title and meaning, and none that does not exist."""
    lines = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `/problems/")]
    known = [*problems.PROBLEMS.values(), problems.UNEXPECTED]
    assert rows == [f"| `{one.uri}` | {int(one.status)} | {one.title} | {one.meaning} |" for one in known]


def test_every_test_that_proves_a_promise_exists() -> None:
    """docs/promises.md names tests; a name that is gone proves nothing."""
    text = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`(test_[a-z0-9_]+)(?:\[[^`]*)?`", text))
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(names) > 15
    assert not {name for name in names if f"def {name}(" not in tests}
