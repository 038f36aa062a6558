"""What docker-compose.yml adds to a deployed stack: the proxy's plain addresses, and Prometheus's token."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from chalicelib.domain.errors import Unauthenticated
from chalicelib.domain.users import Role
from infra.compose.__main__ import scrape_token
from tests.support.api import new_api
from tests.support.nginx import proxy_to

STAGE = "/_aws/execute-api/abc123/service"


class _Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def _answer(self) -> None:
        size = len(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.dumps({"method": self.command, "path": self.path, "headers": headers, "size": size}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names that http.server calls

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """nginx in front of an emulator that answers with what it was asked."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as emulator:
        threading.Thread(target=emulator.serve_forever, daemon=True).start()
        directory: Path = tmp_path_factory.mktemp("proxy")
        with proxy_to(f"http://127.0.0.1:{emulator.server_address[1]}{STAGE}", directory) as url:
            yield url
        emulator.shutdown()


@pytest.mark.parametrize("path", ["/", "/api/docs/", "/api/clients/a%2Fb?tag=a%20b&x=%2B", "/api//clients", "/admin/"])
def test_a_path_reaches_the_stage_unchanged(proxy: str, path: str) -> None:
    """Expects the stage's address before it, and percent signs and slashes as they were."""
    with requests.Session() as session:
        request = requests.Request("GET", proxy).prepare()
        request.url = proxy + path
        assert session.send(request, timeout=10).json()["path"] == STAGE + path


def test_the_service_learns_how_it_was_called(proxy: str) -> None:
    """Expects links to begin at the root, with the host and port that the caller uses."""
    headers = requests.get(f"{proxy}/", timeout=10).json()["headers"]
    assert headers["x-forwarded-prefix"] == "/"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["host"] == proxy.removeprefix("http://")


def test_a_large_file_of_clients_comes_through(proxy: str) -> None:
    """Expects five megabytes, the most that an import accepts, to pass whole, with the caller's own headers."""
    answer = requests.post(
        f"{proxy}/api/clients/imports", data=b"x" * 5_000_000, headers={"Authorization": "Token t"}, timeout=10
    )
    heard = answer.json()
    assert (heard["method"], heard["size"], heard["headers"]["authorization"]) == ("POST", 5_000_000, "Token t")


def test_prometheus_gets_a_token_of_its_own_and_only_the_last_one_is_valid() -> None:
    """Expects a second deploy to find the user, and to leave no older token that is still valid."""
    with new_api() as api:
        users = api.services.users
        first = scrape_token(users)
        assert users.authenticate(first).role is Role.OPERATOR
        second = scrape_token(users)
        assert users.authenticate(second).username == "prometheus"
        with pytest.raises(Unauthenticated):
            users.authenticate(first)
        assert api.request("GET", "/metrics", token=second).status == 200


def test_errors_of_the_proxy_look_like_those_of_the_service(proxy: str, tmp_path: Path) -> None:
    """Expects problems rather than pages of HTML, for a body that is too large and for a stage that does not exist."""
    large = requests.post(f"{proxy}/api/clients/imports", data=b"x" * 10_500_000, timeout=10)
    with proxy_to("http://127.0.0.1:9", tmp_path) as url:
        gone = requests.get(f"{url}/health", timeout=10)
    for answer, status, kind in ((large, 413, "too-large"), (gone, 502, "unexpected")):
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.status_code, answer.json()["status"], answer.json()["type"]) == (
            status,
            status,
            f"/problems/{kind}",
        )
