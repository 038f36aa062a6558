"""The time of the emulated queues while the machine's clock is set back, and what was saved before that."""

from __future__ import annotations

from infra.local.steady_time import LONGEST, SteadyTime, show_again


def test_it_goes_on_while_the_clock_is_behind() -> None:
    """Expects the steps of the machine until the clock has caught up, and then the clock; a jump ahead is followed."""
    readings = iter([1000.0, 1001.0, -2600.0, -2590.0, 5000.0])
    steps = iter([10.0, 11.0, 12.0, 22.0, 23.0])
    time = SteadyTime(lambda: next(readings), lambda: next(steps))
    assert [time.time() for _ in range(4)] == [1001.0, 1002.0, 1012.0, 5000.0]


def test_the_rest_of_the_module_is_there() -> None:
    """Expects MiniStack to find what it uses besides."""
    assert SteadyTime().strftime("%Y")


def test_what_is_hidden_for_longer_than_can_be_is_shown() -> None:
    """Expects delays that are possible to stay."""
    messages = [{"visible_at": 100.0 + LONGEST}, {"visible_at": 101.0 + LONGEST}, {"visible_at": 50.0}, {}]
    show_again(messages, 100.0)
    assert messages == [{"visible_at": 100.0 + LONGEST}, {"visible_at": 100.0}, {"visible_at": 50.0}, {}]
