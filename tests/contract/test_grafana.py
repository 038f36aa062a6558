"""Grafana's files fit together: the dashboard queries the provisioned source for metrics that are exported."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from chalicelib import admin
from chalicelib.api.exposition import FAMILIES
from chalicelib.domain.gateway_control import CIRCUITS
from chalicelib.domain.messages import Outcome
from chalicelib.domain.statuses import COUNTED, MailingStatus
from infra.dashboard import DASHBOARD, marks, panels

PROVISIONING = DASHBOARD.parents[1] / "provisioning"
BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))


def _provisioned(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROVISIONING / name).read_text(encoding="utf-8"))
    return found


def test_every_panel_uses_the_provisioned_source() -> None:
    """Expects its uid, which is the same wherever Grafana is started."""
    (source,) = _provisioned("datasources/prometheus.yml")["datasources"]
    wanted = {"type": source["type"], "uid": source["uid"]}
    assert [panel["datasource"] for panel in BOARD["panels"]] == [wanted] * len(BOARD["panels"])


def test_the_panels_use_every_exported_metric_and_no_other() -> None:
    """Expects each metric in some panel; `up` is Prometheus's own."""
    text = " ".join(query.expression for panel in panels() for query in panel.queries)
    asked = {name.removesuffix("_bucket") for name in re.findall(r"message_service_(\w+)", text)}
    assert asked == {family.name for family in FAMILIES}


def test_no_panel_overlaps_another() -> None:
    """Expects each place in the grid to be used once, within its 24 columns, and no title twice."""
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


def test_panels_show_what_people_look_for_first() -> None:
    """Expects mailings, rate, outcome, latency, queues, dead letters and circuit by name."""
    titles = {panel.title for panel in panels()}
    assert titles >= {"Mailings", "Rate", "Outcome", "Latency of the gateway", "Queues", "Dead letters", "Circuit"}
    assert titles >= {"Success rate", "Time left"}


def test_a_colour_means_the_same_everywhere() -> None:
    """Expects success in green, failure in red, unknown in amber and waiting in grey, in every panel."""
    colours = {panel.title: panel.colours for panel in panels()}
    assert set(colours["Mailings"]) == set(MailingStatus)
    assert set(colours["Messages"]) == {"queued", *COUNTED}
    assert set(colours["Outcome"]) == set(Outcome)
    assert set(colours["Circuit"]) == set(CIRCUITS)
    amber, grey = "#e0a128", "#8e8e8e"
    meant = {
        "Mailings": {"finished": "green", "paused": amber, "scheduled": grey, "cancelled": "red"},
        "Messages": {"sent": "green", "failed": "red", "unknown": amber, "waiting": grey},
        "Outcome": {"accepted": "green", "refused": "red", "unknown": amber},
        "Deliveries": {"delivered": "green", "undelivered": "red"},
        "Circuit": {"closed": "green", "open": "red", "held": amber},
    }
    for title, wanted in meant.items():
        assert wanted.items() <= colours[title].items()
        assert len(set(colours[title].values())) == len(colours[title]) or title == "Mailings"
    (circuit,) = (one for one in BOARD["panels"] if one["title"] == "Circuit")
    assert circuit["options"]["colorMode"] == "background"


def test_panels_use_only_labels_that_a_metric_has() -> None:
    """Expects this of labels in filters and in sums; `stage` is a label of the targets."""
    labels = {f"message_service_{family.name}": {*family.labels, "stage"} for family in FAMILIES}
    for query in (query for panel in panels() for query in panel.queries):
        for name, chosen in re.findall(r"(message_service_\w+)\{([^}]*)\}", query.expression):
            known = labels.get(name) or labels[name.removesuffix("_bucket")] | {"le"}
            by = re.findall(r"by \((\w+)\)", query.expression)
            assert {*re.findall(r"(\w+)[=!]", chosen), *by} <= known, query.expression


def test_a_panel_without_data_says_that_nothing_is_sent() -> None:
    """Expects words instead of a division by zero or a dash."""
    for panel in BOARD["panels"]:
        is_empty_when_idle = any(re.search(r"[^=]> 0|>= 0", target["expr"]) for target in panel["targets"])
        assert ("noValue" in panel["fieldConfig"]["defaults"]) == is_empty_when_idle, panel["title"]
        divides = any(re.search(r"/ (?!\(.* > 0\)$|clamp_min)", target["expr"]) for target in panel["targets"])
        assert not divides, panel["title"]


def test_every_expression_is_limited_to_the_chosen_stage() -> None:
    """Expects each metric to be filtered by the variable, and the variables to come from labels of the targets."""
    queries = [*(query for panel in panels() for query in panel.queries), *marks()]
    for query in queries:
        metrics = re.findall(r"(?:message_service_\w+|\bup)(\{[^}]*\})?", query.expression)
        assert metrics
        assert all('stage=~"$stage"' in labels for labels in metrics), query.expression
    (target,) = yaml.safe_load((DASHBOARD.parents[2] / "compose" / "targets.yml").read_text(encoding="utf-8"))
    assert {one["name"] for one in BOARD["templating"]["list"]} == set(target["labels"]) == {"stage", "ui"}


def test_links_lead_to_pages_of_the_admin_ui() -> None:
    """Expects each link of the dashboard and of its panels to be an existing page at the address of the stage."""
    pages = {route.path for each in admin.PAGES for route in each.routes if route.method == "GET"}
    links = [one["url"] for one in BOARD["links"]]
    links += [link["url"] for panel in BOARD["panels"] for link in panel.get("links", ())]
    assert len(links) > 10
    assert {url.removeprefix("${ui}").partition("?")[0].rstrip("/") for url in links} <= pages
    assert all(url.startswith("${ui}/") for url in links)


def test_times_without_sending_are_marked() -> None:
    """Expects an annotation over the time in which the circuit is not closed."""
    (stops,) = marks()
    assert set(re.findall(r'state=~"([^"]+)"', stops.expression)) == {"open|held"}
