"""Grafana's files fit together: the dashboard asks the provisioned source, for metrics that are exported."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from chalicelib.api.exposition import FAMILIES
from infra.dashboard import DASHBOARD, panels

PROVISIONING = DASHBOARD.parents[1] / "provisioning"
BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))


def _provisioned(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROVISIONING / name).read_text(encoding="utf-8"))
    return found


def test_every_panel_asks_the_provisioned_source() -> None:
    """Expects its uid, which stays the same wherever Grafana is started."""
    (source,) = _provisioned("datasources/prometheus.yml")["datasources"]
    wanted = {"type": source["type"], "uid": source["uid"]}
    assert [panel["datasource"] for panel in BOARD["panels"]] == [wanted] * len(BOARD["panels"])


def test_only_exported_metrics_are_asked_for_and_all_of_them() -> None:
    """Expects each family in some panel; `up` is Prometheus's own."""
    text = " ".join(query.expression for panel in panels() for query in panel.queries)
    asked = {name.removesuffix("_bucket") for name in re.findall(r"message_service_(\w+)", text)}
    assert asked == {family.name for family in FAMILIES}


def test_no_panel_covers_another() -> None:
    """Expects each place of the grid taken once, within its 24 columns, and no title twice."""
    cells = [
        (panel.x + column, panel.y + row)
        for panel in panels()
        for column in range(panel.width)
        for row in range(panel.height)
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    titles = [panel.title for panel in panels()]
    assert len(titles) == len(set(titles)) == len({one["id"] for one in BOARD["panels"]})


def test_what_people_look_for_first_is_there() -> None:
    """Expects mailings, rate, outcome, latency, queues, dead letters and circuit by name."""
    titles = {panel.title for panel in panels()}
    assert titles >= {"Mailings", "Rate", "Outcome", "Latency of the gateway", "Queues", "Dead letters", "Circuit"}
