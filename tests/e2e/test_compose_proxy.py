"""The proxy of docker-compose.yml in front of the deployed package: plain addresses for all that people open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from infra.compose.__main__ import scrape_token
from tests.support.deployed_run import DeployedRun
from tests.support.nginx import proxy_to

pytestmark = pytest.mark.ministack


@pytest.fixture
def proxy(run: DeployedRun, tmp_path: Path) -> Iterator[str]:
    """The proxy's address."""
    with proxy_to(run.url, tmp_path) as url:
        yield url


def test_the_service_answers_at_plain_addresses(proxy: str, run: DeployedRun) -> None:
    """Expects health, documentation and sign-in, with links and locations that the next request can use as they are."""
    assert requests.get(f"{proxy}/health/ready", timeout=60).json()["status"] == "ready"
    assert requests.get(f"{proxy}/", timeout=60).json()["api"]["clients"] == "/api/clients/"
    docs = requests.get(f"{proxy}/api/docs/", timeout=60)
    assert docs.headers["Content-Type"].startswith("text/html")
    assert '"/api/docs/swagger-ui.css"' in docs.text
    answer = requests.post(
        f"{proxy}/auth-token/", json={"username": "admin", "password": run.password}, timeout=60
    ).json()
    headers = {"Authorization": f"Token {answer['token']}"}
    client = {"phone_number": "+79990001122", "tag": "proxy"}
    made = requests.post(f"{proxy}/api/clients/", json=client, headers=headers, timeout=60)
    assert made.status_code == 201
    assert made.headers["Location"].startswith("/api/clients/")
    assert requests.get(f"{proxy}{made.headers['Location']}", headers=headers, timeout=60).json() == made.json()


def test_prometheus_may_read_the_metrics_through_it(proxy: str, run: DeployedRun) -> None:
    """Expects /metrics to accept the token that the deploy container leaves."""
    with run.services() as services:
        token = scrape_token(services.users)
    answer = requests.get(f"{proxy}/metrics", headers={"Authorization": f"Bearer {token}"}, timeout=60)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 'message_service_mailings{status="running"}' in answer.text
