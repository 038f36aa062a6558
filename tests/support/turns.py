"""Answers of a gateway in turn: by the order of calls, not by ids, which differ in every run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TypeVar

T = TypeVar("T")


def in_turn(answers: Sequence[T]) -> Callable[[int, int], T]:
    """For a gateway's script: the first id that comes gets the first answer, the next id the next, and so on from the

    beginning again; an id gets the same answer however often it comes.
    """
    turns = cycle(answers)
    given: dict[int, T] = {}

    def answer(gateway_id: int, nth: int) -> T:
        del nth
        if gateway_id not in given:
            given[gateway_id] = next(turns)
        return given[gateway_id]

    return answer
