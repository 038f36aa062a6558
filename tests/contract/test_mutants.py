"""`make mutants` changes code that exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import MUTANTS, TESTS, Mutant

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.partition(":")[0])
def test_a_mutants_text_is_in_the_code_once(mutant: Mutant) -> None:
    """Expects a change of the code to change the mutant too; otherwise it would say that nothing was noticed."""
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.text) == 1


@pytest.mark.parametrize("path", TESTS)
def test_the_tests_of_a_mutant_exist(path: str) -> None:
    """Expects a renamed test file to be renamed here too; otherwise nothing would run."""
    assert (ROOT / path).exists()
