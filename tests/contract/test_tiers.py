"""Two tiers of tests: `make test` and `make proof` together run every test, and the first does not need the second."""

from __future__ import annotations

import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path

from tests import support
from tests.conftest import PROOF_DIRECTORIES

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
RULE = TESTS / "conftest.py"
MARK = "mark" + ".proof"


def _commands(target: str) -> list[list[str]]:
    """The words of each pytest call that a target of `make` runs."""
    environments = (".venv", ".venv-localstack", ".venv-localemu", ".venv-functions")
    old = [word for name in environments for word in ("--assume-old", f"{name}/.requirements")]
    command = ["make", "--dry-run", *old, "--assume-old", "tests/generated/node_modules/.package-lock.json", target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT)
    return [shlex.split(line) for line in done.stdout.splitlines() if "bin/pytest " in line]


def _where(words: list[str]) -> set[str]:
    return {word for word in words if word.startswith("tests/")}


def _mark(words: list[str]) -> str:
    return words[words.index("-m") + 1]


def test_every_test_belongs_to_exactly_one_tier() -> None:
    """Expects one command to run what is not marked, in every directory with tests, and the other what is, anywhere."""
    (test,), (proof, emulators) = _commands("test"), _commands("proof")
    with_tests = {str(file.relative_to(ROOT).parent).split("/")[1] for file in TESTS.rglob("test_*.py")}
    assert _where(test) == {f"tests/{name}" for name in with_tests}
    marked = {file for file in TESTS.rglob("*.py") if MARK in file.read_text(encoding="utf-8")}
    places = [ROOT / place for place in _where(proof)]
    assert marked - {file for file in marked for place in places if file.is_relative_to(place)} == {RULE}
    assert {TESTS / name for name in PROOF_DIRECTORIES} <= set(places)
    assert (_mark(test), _mark(proof)) == ("not proof", "proof")
    assert [words for words in (test, proof) if {"-k", "--deselect", "--ignore"} & set(words)] == []
    # What only an emulator can show is collected with it only (tests/e2e/conftest.py).
    chosen = [word for before, word in pairwise(emulators) if before in ("--on", "-k", "-m")]
    assert chosen == ["proof", "localstack", "localemu", "localstack or localemu"]
    assert _where(emulators) == {"tests/e2e"}


def test_both_tiers_are_run_before_a_change_lands() -> None:
    """Expects `.ci/run` to run the quick tier first, and `make check` to run both."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in script if line in ("make test", "make proof")] == ["make test", "make proof"]
    done = subprocess.run(["make", "-pn"], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    (check,) = re.findall(r"^check: (.*)$", done.stdout, re.MULTILINE)
    assert {"test", "proof"} <= set(check.split())


def test_each_module_of_support_is_explained() -> None:
    """Expects the tree in the docstring of tests/support to list its modules, and nothing else."""
    told = set(re.findall(r"^ *(\w+)\.py ", str(support.__doc__), re.MULTILINE))
    assert told == {file.stem for file in (TESTS / "support").glob("*.py")} - {"__init__"}
