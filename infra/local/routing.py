"""Which Chalice route a path belongs to, by API Gateway's rules."""

from __future__ import annotations

import re
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
        self._literal: set[str] = set()
        self._by_length: dict[int, list[_Pattern]] = {}
        self._rests: list[tuple[str, str]] = []
        for route in sorted(routes, key=_parameters_last):
            segments = route.split("/")[1:]
            if segments[-1].endswith("+}"):
                self._rests.append((route, route.removesuffix(segments[-1])))
            elif any(map(_is_parameter, segments)):
                self._by_length.setdefault(len(segments), []).append(_Pattern.of(route))
            else:
                self._literal.add(route)

    def match(self, path: str) -> Match | None:
        """The route for a path that begins with a slash, None if there is none."""
        if path != "/" and path.endswith("/"):
            path = path[:-1]
        if path in self._literal:
            return Match(path, {})
        for pattern in self._by_length.get(path.count("/"), ()):
            if found := pattern.form.fullmatch(path):
                return Match(pattern.route, dict(zip(pattern.names, found.groups(), strict=True)))
        for route, start in self._rests:
            if path.startswith(start) and len(path) > len(start):
                return Match(route, {route[len(start) + 1 : -2]: path[len(start) :]})
        return None


def _is_parameter(segment: str) -> bool:
    return segment.startswith("{")


def _parameters_last(route: str) -> list[bool]:
    return [_is_parameter(segment) for segment in route.split("/")]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A route with parameters, and the form of its paths."""

    route: str
    form: re.Pattern[str]
    names: list[str]

    @classmethod
    def of(cls, route: str) -> _Pattern:
        segments = route.split("/")
        form = "/".join("([^/]+)" if _is_parameter(segment) else re.escape(segment) for segment in segments)
        return cls(route, re.compile(form), [segment[1:-1] for segment in segments if _is_parameter(segment)])
