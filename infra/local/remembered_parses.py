"""Lets MiniStack parse a statement once, instead of for each of thousands that differ only in their values.

Two thirds of the emulator's time in a mailing went into parsing the same three statements. The meaning of a statement
depends on its text and the types of its parameters. Answers and data are exactly the same without this
(EMULATOR_REMEMBERS=0, and a test that compares both).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from operator import itemgetter
from typing import Any

KEPT = 500  # texts
_NUMBERS = 5_000  # which differ more than statements do
_SET_LITERAL = "<<"  # whether its members are equal depends on their values

Parse = Callable[[str, list[dict[str, Any]] | None], dict[str, Any]]
Token = tuple[str, str]
Build = Callable[[list[Any]], Any]


def tokenizing(tokenize: Callable[[str], list[Token]]) -> Callable[[str], list[Token]]:
    """A tokenizer with the same results, which tokenizes an expression once instead of for each item."""
    known = lru_cache(maxsize=KEPT)(lambda text: tuple(tokenize(text)))
    return lambda text: list(known(text))


def judging(judge: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function with the same results for a text, such as the size of a number, which computes them once."""
    known = lru_cache(maxsize=_NUMBERS)(judge)
    return wraps(judge)(lambda text: known(text) if type(text) is str else judge(text))


def remembering(parse: Parse) -> Parse:
    """A parser with the same results, which remembers what it has parsed."""

    @lru_cache(maxsize=KEPT)
    def shape(text: str, types: tuple[str, ...]) -> Build:
        places = [{name: _Unread()} for name in types]
        parsed = parse(text, places)
        return _builder(parsed, {id(place): number for number, place in enumerate(places)})

    def remembered(text: str, parameters: list[dict[str, Any]] | None) -> dict[str, Any]:
        given = parameters or []
        if _SET_LITERAL in text or not all(isinstance(one, dict) and len(one) == 1 for one in given):
            return parse(text, parameters)
        return dict(shape(text, tuple([next(iter(one)) for one in given]))(given))

    return remembered


class _Unread:
    """A placeholder for a value that the parser does not look at."""


def _builder(node: Any, places: dict[int, int]) -> Build:
    """A function that makes a copy of a tree, with values instead of parameters.

    Branches without parameters are shared, because nobody changes them.
    """
    if id(node) in places:
        return itemgetter(places[id(node)])
    if not _has_place(node, places):
        return lambda _: node
    if isinstance(node, dict):
        entries = [(key, _builder(value, places)) for key, value in node.items()]
        return lambda values: {key: build(values) for key, build in entries}
    branches = [_builder(one, places) for one in node]
    if isinstance(node, list):
        return lambda values: [build(values) for build in branches]
    return lambda values: tuple([build(values) for build in branches])


def _has_place(node: Any, places: dict[int, int]) -> bool:
    if id(node) in places:
        return True
    branches = node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ()
    return any(_has_place(one, places) for one in branches)
