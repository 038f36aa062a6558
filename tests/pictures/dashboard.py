"""`make pictures`: Grafana's dashboard as a picture, drawn from what a real Prometheus scraped from a real run.

A mailing to 3,000 clients at 60 messages a second, and a gateway that refuses some, never takes a few, and is down for
a while: two minutes in which each panel has something to show.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.dashboard import Panel, panels
from infra.dashboard_picture import Series, Span, page, series
from tests.support.chromium import chromium
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, local_runs
from tests.support.orders import add_clients, order, wait_for_end
from tests.support.prometheus import Prometheus, prometheus_of

CLIENTS, RATE = 3000, 60
DOWN = (30.0, 45.0)  # seconds after the start between which the gateway is down
LATENCY = 0.04  # seconds
BOUND = 400.0  # seconds
_INTERVAL = "12s"  # over which rates are taken


def main() -> int:
    """Run, scrape, draw."""
    target = Path(sys.argv[1])
    gateway = FaultyGateway(LATENCY)
    with TemporaryDirectory() as temporary, local_runs(Path(temporary)) as start:
        run = start(GATEWAY_URL=gateway.url, GATEWAY_TOKEN="a-token", MAX_ATTEMPTS="3", RETRY_BASE="1").ready()
        api = ApiCaller(run)
        token = api.call("POST", "/auth-token/", {"username": "admin", "password": run.password})["token"]
        with prometheus_of(run, token, Path(temporary) / "prometheus", every=3) as prometheus:
            add_clients(run, CLIENTS)
            began = time.time()
            gateway.behave = lambda gateway_id, nth: _behave(gateway_id, time.time() - began)
            order(api, starts_in=1e6, lasts=1e6)
            wait_for_end(api, order(api, rate_limit=RATE), BOUND)
            time.sleep(5)
            span = Span(began - 5, time.time())
            html = page({panel: _asked(prometheus, panel, span) for panel in panels()}, span)
        api.close()
    gateway.stop()
    _shoot(html, target)
    return 0


def _behave(gateway_id: int, seconds: float) -> str:
    if DOWN[0] < seconds < DOWN[1] or gateway_id % 500 == 1:
        return "503"
    return "400" if gateway_id % 50 == 0 else "ok"


def _asked(prometheus: Prometheus, panel: Panel, span: Span) -> list[Series]:
    """What Prometheus answers to the panel's expressions."""
    return [
        line
        for query in panel.queries
        for line in series(query.legend, prometheus.range(query.over(_INTERVAL), span.begin, span.end))
    ]


def _shoot(html: str, target: Path) -> None:
    with chromium() as browser:
        view = browser.new_page(viewport={"width": 1344, "height": 400})
        view.set_content(html)
        view.locator("body > svg").screenshot(path=str(target))


if __name__ == "__main__":
    sys.exit(main())
