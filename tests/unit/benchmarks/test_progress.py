"""A long measurement tells how far it has come, now and then."""

from __future__ import annotations

from benchmarks.progress import EVERY, Progress


def test_progress_is_reported_with_the_time_that_is_left() -> None:
    """Expects one line for each ten seconds, however often it is asked, and a guess from what is done."""
    told: list[str] = []
    times = iter([0.0, 1.0, EVERY, EVERY + 1, 2 * EVERY])
    progress = Progress("sent", 4000, told.append, lambda: next(times))
    for done in (100, 1000, 1100, 3000):
        progress.at(done)
    assert told == ["sent: 1,000 of 4,000, about 0:30 to go", "sent: 3,000 of 4,000, about 0:06 to go"]


def test_no_time_is_estimated_before_anything_is_done() -> None:
    """Expects the counts only."""
    told: list[str] = []
    times = iter([0.0, EVERY])
    Progress("sent", 4000, told.append, lambda: next(times)).at(0)
    assert told == ["sent: 0 of 4,000"]
