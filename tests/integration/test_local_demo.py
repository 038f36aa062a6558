"""The demo against a small API: it finds the service, orders its own mailing, and reports the true result."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chalice.app import Chalice, Response
from rich.console import Console

from chalicelib.clock import SystemClock
from infra.local import demo
from infra.local.api_client import CallFailed
from infra.local.api_gateway import HttpFront
from infra.local.data_directory import DataDirectory, write_private
from infra.local.environment import LocalSettings
from infra.local.loopback import listen
from infra.local.web_server import WebServer

pytestmark = pytest.mark.enable_socket


class FakeService:
    """The part of the API that the demo needs; a mailing is half done at the first look and finished at the second."""

    def __init__(self) -> None:
        self.clients: list[dict[str, Any]] = []
        self.mailings: list[dict[str, Any]] = []
        self.taken = 1
        self.lost = 0
        self._looks = 0
        app = Chalice("fake", configure_logs=False)
        self._app = app
        app.route("/auth-token", methods=["POST"])(self.token)
        app.route("/api/clients", methods=["POST"])(self.client)
        app.route("/api/mailing", methods=["POST"])(self.order)
        app.route("/api/mailing/{name}", methods=["GET"])(self.look)
        self.server = WebServer(HttpFront(app, SystemClock(), "eu-west-1"), listen(0), 4)
        self.server.start()

    def token(self) -> Any:
        if self._body() != {"username": "admin", "password": "secret", "name": "demo"}:
            return Response({"detail": "no"}, status_code=401)
        return {"token": "abc"}

    def client(self) -> Any:
        self._check()
        if self.taken:
            self.taken -= 1
            return Response({"detail": "exists"}, status_code=409)
        self.clients.append(self._body())
        return Response({"id": "c"}, status_code=201)

    def order(self) -> Any:
        self._check()
        self.mailings.append(self._body())
        return Response({"id": "m1"}, status_code=201)

    def look(self, name: str) -> Any:
        self._check()
        self._looks += 1
        if self._looks == 1:
            return {"id": name, "status": "running", "counts": {"sent": len(self.clients) // 2}}
        return {"id": name, "status": "finished", "counts": {"sent": len(self.clients) - self.lost}}

    def _body(self) -> Any:
        assert self._app.current_request is not None
        return self._app.current_request.json_body

    def _check(self) -> None:
        assert self._app.current_request is not None
        assert self._app.current_request.headers["authorization"] == "Token abc"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeService]:
    monkeypatch.setattr(demo, "_POLL", 0)
    service = FakeService()
    directory = DataDirectory(tmp_path)
    url = f"http://127.0.0.1:{service.server.port}"
    write_private(directory.service_file, {"url": url, "username": "admin", "gateway": "http://127.0.0.1:9"})
    write_private(directory.admin_file, {"username": "admin", "password": "secret"})
    yield service
    service.server.stop()


def _run(tmp_path: Path, **environ: str) -> str:
    output = io.StringIO()
    demo.run(Console(file=output, width=200), {"DATA_DIR": str(tmp_path), **environ}, count=20)
    return output.getvalue()


def test_the_demo_mails_its_own_clients_and_sums_up(service: FakeService, tmp_path: Path) -> None:
    """Expects new clients with one tag, one mailing to them, a progress bar and a summary."""
    output = _run(tmp_path)
    tags = {client["tag"] for client in service.clients}
    assert len({client["phone_number"] for client in service.clients}) == len(service.clients) == 20
    assert [mailing["clients"] for mailing in service.mailings] == [{"tag": tags.pop()}]
    assert not tags
    assert "20/20" in output
    assert "finished: 20 sent, 0 not" in output


def test_a_lost_message_is_reported(service: FakeService, tmp_path: Path) -> None:
    """Expects the demo to fail if not everything was sent."""
    service.lost = 1
    with pytest.raises(CallFailed, match="1 messages were not sent"):
        _run(tmp_path)


def test_a_wrong_password_is_reported(service: FakeService, tmp_path: Path) -> None:
    """Expects the environment's password to be used, and what to do if it is refused."""
    with pytest.raises(CallFailed, match="set ADMIN_PASSWORD"):
        _run(tmp_path, ADMIN_PASSWORD="wrong")
    assert service.clients == []


def test_a_service_that_went_away_is_reported(service: FakeService, tmp_path: Path) -> None:
    """Expects a clear message instead of a traceback."""
    service.server.stop()
    with pytest.raises(CallFailed, match="nothing answers"):
        _run(tmp_path)


def test_without_a_service_the_demo_says_how_to_start_one(tmp_path: Path) -> None:
    """Expects the command to be named."""
    with pytest.raises(CallFailed, match="make run"):
        _run(tmp_path)


def test_the_demo_does_not_send_to_real_people(tmp_path: Path) -> None:
    """Expects a refusal if the gateway is not on this machine."""
    service = {"url": "http://127.0.0.1:1", "gateway": "https://sms.example.com"}
    write_private(DataDirectory(tmp_path).service_file, service)
    with pytest.raises(CallFailed, match="to people"):
        _run(tmp_path, ADMIN_PASSWORD="secret")


@pytest.mark.parametrize("kind", [{"gateway": "declared"}, {"gateway": "eum"}, {"gateways": "{}"}])
def test_a_gateway_with_an_address_of_its_own_is_a_real_one(tmp_path: Path, kind: dict[str, str]) -> None:
    """Expects the demo to be refused though nobody has set an address."""
    told = LocalSettings(**kind).gateway_address("")
    write_private(DataDirectory(tmp_path).service_file, {"url": "http://127.0.0.1:1", "gateway": told})
    with pytest.raises(CallFailed, match="to people"):
        _run(tmp_path, ADMIN_PASSWORD="secret")


def test_an_unknown_password_has_to_be_given(tmp_path: Path) -> None:
    """Expects the error to name the variable."""
    write_private(DataDirectory(tmp_path).service_file, {"url": "http://127.0.0.1:1"})
    with pytest.raises(CallFailed, match="ADMIN_PASSWORD"):
        _run(tmp_path)
