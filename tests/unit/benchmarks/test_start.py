"""The tests' own time is read from what `make test` prints."""

from __future__ import annotations

from benchmarks.start import told_times

PRINTED = """
.venv/bin/pytest -n 2 --dist loadgroup tests/unit tests/contract
........................................................ [100%]
FAILED tests/unit/test_a.py::test_that_1_passed_in_5s
================ 1523 passed, 2 skipped in 301.55s (0:05:01) =================
.venv/bin/pytest tests/browser
======================= 1 failed, 95 passed in 88.12s ========================
"""


def test_each_group_of_tests_has_its_time() -> None:
    """Expects directories, tests that passed and seconds, and nothing from the lines in between."""
    assert list(told_times(PRINTED.splitlines())) == [
        ("tests/unit tests/contract", 1523, 301.55),
        ("tests/browser", 95, 88.12),
    ]
