"""`make mutants` takes out what is really there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import MUTANTS, TESTS, Mutant

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.partition(":")[0])
def test_a_mutants_text_stands_in_the_code_once(mutant: Mutant) -> None:
    """Expects a change of the code to bring the mutant along, or it would say that nothing was caught."""
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.text) == 1


@pytest.mark.parametrize("path", TESTS)
def test_the_tests_that_are_to_notice_are_there(path: str) -> None:
    """Expects a test file that is renamed to be renamed here too, or nothing at all would run."""
    assert (ROOT / path).exists()
