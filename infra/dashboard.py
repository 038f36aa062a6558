"""Grafana's dashboard as infra/grafana has it: its panels, what they ask Prometheus, and where they stand."""

from __future__ import annotations

import json
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
        """The expression as Grafana sends it where rates are taken over an interval such as 1m."""
        return self.expression.replace("$__rate_interval", interval)


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; place and size are in columns, of which there are 24, and rows."""

    title: str
    queries: tuple[Query, ...]
    x: int
    y: int
    width: int
    height: int


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
    )
