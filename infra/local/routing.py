"""Which Chalice route a path belongs to, by API Gateway's rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """A route and its path parameters, as they stand in the path: not percent-decoded."""

    route: str
    parameters: dict[str, str]


class RouteTable:
    """The routes of an app. A literal segment wins over a parameter; one trailing slash is optional everywhere.

    A parameter as `{name+}`, the last of its route, takes what no other route does.
    """

    def __init__(self, routes: Iterable[str]) -> None:
        self._by_length: dict[int, list[tuple[str, list[str]]]] = {}
        self._rests: list[tuple[str, str]] = []
        for route in routes:
            segments = route.split("/")[1:]
            if segments[-1].endswith("+}"):
                self._rests.append((route, route.removesuffix(segments[-1])))
            else:
                self._by_length.setdefault(len(segments), []).append((route, segments))
        for candidates in self._by_length.values():
            candidates.sort(key=lambda candidate: [_is_parameter(segment) for segment in candidate[1]])

    def match(self, path: str) -> Match | None:
        """The route for a path that begins with a slash; None if there is none."""
        if path != "/" and path.endswith("/"):
            path = path[:-1]
        segments = path.split("/")[1:]
        for route, pattern in self._by_length.get(len(segments), ()):
            parameters = _parameters(pattern, segments)
            if parameters is not None:
                return Match(route, parameters)
        for route, start in self._rests:
            if path.startswith(start) and len(path) > len(start):
                return Match(route, {route[len(start) + 1 : -2]: path[len(start) :]})
        return None


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{")


def _parameters(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if _is_parameter(expected) and segment:
            parameters[expected[1:-1]] = segment
        elif expected != segment:
            return None
    return parameters
