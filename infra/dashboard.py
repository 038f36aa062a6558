"""Grafana's dashboard as infra/grafana has it: its panels, what they ask Prometheus, and where they stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).parent / "grafana" / "dashboards" / "message-service.json"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of a panel. `legend` names its series, with labels as {{label}}."""

    expression: str
    legend: str

    def over(self, interval: str) -> str:
        """The expression as Grafana sends it for all stages, if rates are taken over an interval such as 1m."""
        return self.expression.replace("$__rate_interval", interval).replace("$__range", "1h").replace("$stage", ".*")


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; place and size are in columns, of which there are 24, and rows."""

    title: str
    queries: tuple[Query, ...]
    x: int
    y: int
    width: int
    height: int
    colours: Mapping[str, str]  # by the name of a series


def marks() -> list[Query]:
    """What is marked in every graph."""
    known = json.loads(DASHBOARD.read_text(encoding="utf-8"))["annotations"]["list"]
    return [Query(one["expr"], one["titleFormat"]) for one in known]


def panels() -> list[Panel]:
    """All panels, in the order of the file."""
    return [_panel(one) for one in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]]


def _panel(one: dict[str, Any]) -> Panel:
    place = one["gridPos"]
    return Panel(
        title=one["title"],
        queries=tuple(Query(target["expr"], target["legendFormat"]) for target in one["targets"]),
        x=place["x"],
        y=place["y"],
        width=place["w"],
        height=place["h"],
        colours=dict(_colours(one["fieldConfig"]["overrides"])),
    )


def _colours(overrides: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for one in overrides:
        for change in one["properties"]:
            if change["id"] == "color":
                yield one["matcher"]["options"], change["value"]["fixedColor"]
