"""A real Prometheus scrapes a real run: what it stores is what happened, and every panel of Grafana has data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from infra.dashboard import Query, marks, panels
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, local_runs, wait_until
from tests.support.orders import add_clients, order, statuses, wait_for_end
from tests.support.prometheus import Prometheus, prometheus_of
from tests.support.turns import in_turn

pytestmark = pytest.mark.xdist_group("prometheus")  # one run for all of them
CLIENTS = 600
QUERIES = [(panel.title, query) for panel in panels() for query in panel.queries]


@dataclass(frozen=True, slots=True)
class Watched:
    """A run that has sent a mailing, and the Prometheus that watched it."""

    api: ApiCaller
    mailing_id: str
    gateway: FaultyGateway
    prometheus: Prometheus


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """600 messages at 100 a second, so that rates can be seen; one in twenty is refused at first or for good."""
    gateway = FaultyGateway(0.02)
    place = in_turn(range(40))
    gateway.behave = lambda gateway_id, nth: {0: "400", 1: "503" if nth == 1 else "ok"}.get(
        place(gateway_id, nth), "ok"
    )
    directory = tmp_path_factory.mktemp("watched")
    with local_runs(directory) as start:
        run = start(GATEWAY_URL=gateway.url, GATEWAY_TOKEN="the-token").ready()
        api = ApiCaller(run)
        token = api.call("POST", "/auth-token/", {"username": "admin", "password": run.password})["token"]
        with prometheus_of(run, token, directory / "prometheus") as prometheus:
            add_clients(run, CLIENTS)
            mailing_id = order(api, rate_limit=100)
            wait_for_end(api, mailing_id)
            wait_until(lambda: prometheus.query('message_service_mailings{status="finished"} == 1'))
            api.call("POST", "/api/gateway/hold/", {})
            wait_until(lambda: prometheus.query('message_service_gateway_circuit{state="held"} == 1'))
            yield Watched(api, mailing_id, gateway, prometheus)
        api.close()
    gateway.stop()


def test_every_scrape_reaches_the_service(watched: Watched) -> None:
    """Expects this with the token in its file, from the first scrape to the last."""
    (target,) = watched.prometheus.targets()
    assert (target["health"], target["lastError"]) == ("up", "")
    assert set(watched.prometheus.values("up", 300)) == {1.0}


def test_what_is_stored_is_what_happened(watched: Watched) -> None:
    """Expects messages as the ledger has them row by row, and calls as the gateway counted them."""
    rows = statuses(watched.api, watched.mailing_id)
    stored = {
        one["metric"]["status"]: int(one["value"][1])
        for one in watched.prometheus.query("message_service_messages > 0")
    }
    assert stored == rows
    assert sum(rows.values()) == CLIENTS
    (calls,) = watched.prometheus.query("sum(message_service_gateway_calls_total)")
    assert int(calls["value"][1]) == len(watched.gateway.heard)


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[f"{title}: {query.legend}" for title, query in QUERIES])
def test_every_panel_of_the_dashboard_has_data(watched: Watched, title: str, query: Query) -> None:
    """Expects Prometheus to accept each expression as Grafana sends it, and to have a number for part of the run."""
    assert watched.prometheus.values(query.over("10s"), 300), title


def test_a_pause_of_sending_is_marked(watched: Watched) -> None:
    """Expects a mark from the moment of the pause, with the state and the stage in its text."""
    (stops,) = marks()
    (marked,) = watched.prometheus.query(stops.over("10s"))
    assert (marked["metric"]["state"], marked["metric"]["stage"]) == ("held", "test")
    assert marked["metric"]["ui"].startswith("http://127.0.0.1:")
