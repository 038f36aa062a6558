"""The REST API as its callers see it: the real app behind the local front, on tables inside the test's process."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any
from unittest import mock
from urllib.parse import urlencode

from argon2 import PasswordHasher

from app import app
from chalicelib import bootstrap
from chalicelib.aws_clients import aws_client
from chalicelib.bootstrap import Services, build
from chalicelib.config import Settings
from chalicelib.domain.users import Role
from chalicelib.gateways.base import Capabilities
from chalicelib.gateways.sandbox import SandboxGateway
from chalicelib.services import passwords
from chalicelib.storage.tables import Tables, bind
from infra.local.api_gateway import HttpFront
from infra.provision import provision
from tests.support.aws import InProcessAws
from tests.support.client_ids import CLIENT_IDS
from tests.support.clocks import FrozenClock
from tests.support.kept_state import set_up

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response."""

    status: int
    headers: dict[str, str]
    text: str
    cookies: tuple[str, ...] = ()  # each Set-Cookie as it came

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def errors(self) -> dict[str, str]:
        """The messages of a 422 by field."""
        return {error["field"]: error["message"] for error in self.json["errors"]}


@dataclass
class Api:
    """Makes requests, with `token` unless a request has another one."""

    front: HttpFront
    services: Services
    clock: Any  # a FrozenClock, or the virtual one of a simulation
    aws: InProcessAws
    sqs: Any
    token: str = ""
    address: str = "192.0.2.1"
    secrets: dict[Role, str] = field(default_factory=dict)
    # The cookies, and the token of forms, of who is signed in to the admin UI.
    signed_in: dict[Role, tuple[dict[str, str], str]] = field(default_factory=dict)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | Sequence[tuple[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        token: str | None = None,
    ) -> Reply:
        """One request; `body` is sent as JSON, `raw` as it is."""
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json", **(headers or {})}
        secret = self.token if token is None else token
        if secret:
            given.setdefault("Authorization", f"Bearer {secret}")
        target = path + (f"?{urlencode(query, doseq=True)}" if query else "")
        environ = {
            "REQUEST_METHOD": method,
            "REQUEST_URI": target,
            "PATH_INFO": path,
            "REMOTE_ADDR": self.address,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(content),
            "CONTENT_TYPE": given.pop("Content-Type"),
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in given.items()},
        }
        answer: list[Any] = []
        chunks = self.front(environ, lambda status, response_headers: answer.extend([status, response_headers]))
        text = b"".join(chunks).decode()
        cookies = tuple(value for name, value in answer[1] if name.lower() == "set-cookie")
        return Reply(int(answer[0][:3]), {name.lower(): value for name, value in answer[1]}, text, cookies)

    def get(self, path: str, **options: Any) -> Reply:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.request("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.request("PUT", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Reply:
        return self.request("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> Reply:
        return self.request("DELETE", path, **options)

    def sign_in_as(self, role: Role) -> None:
        """Make the requests that follow as the user of a role."""
        self.token = self.secrets[role]

    def pass_time(self, **span: float) -> None:
        """Let time pass, such as hours=1."""
        self.clock.moment += timedelta(**span)

    def ago(self, **span: float) -> str:
        return (self.clock.now() - timedelta(**span)).isoformat()

    def ahead(self, **span: float) -> str:
        """A moment from now, as a request has it."""
        return (self.clock.now() + timedelta(**span)).isoformat()

    def queued_units(self) -> list[dict[str, Any]]:
        """Take all units from the dispatch queue, visible or delayed."""
        url = self.sqs.get_queue_url(QueueName=self.services.settings.dispatch_queue)["QueueUrl"]
        units = []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            units += [json.loads(message["Body"]) for message in messages]
        return units


@contextmanager
def quick_passwords() -> Iterator[None]:
    """Hash passwords with little work, because the real parameters take 50 ms each."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with mock.patch.object(passwords, "hasher", return_value=quick):
        passwords.nobodys_hash.cache_clear()
        yield
    passwords.nobodys_hash.cache_clear()


@lru_cache(maxsize=1)
def _connections() -> tuple[dict[str, Any], Tables]:
    """AWS clients and models, which are shared because they take half a second to make."""
    clients = {"dynamodb": aws_client("dynamodb"), "sqs": aws_client("sqs")}
    return clients, bind(Settings(), clients["dynamodb"])


def _with_users(services: Services, clients: dict[str, Any]) -> dict[Role, str]:
    """Create tables, queues and a user of each role. Returns their tokens."""
    provision(services.settings, clients["dynamodb"], clients["sqs"])
    for role in Role:
        services.users.create(str(role), PASSWORD, role)
    return {role: services.users.issue_token(str(role), PASSWORD, "test").secret for role in Role}


@contextmanager
def new_api(*, counts_parts: bool = False, **configured: Any) -> Iterator[Api]:
    """An empty service with an admin and an operator, called as the admin."""
    aws = InProcessAws()
    with aws.installed(), quick_passwords():
        clock = FrozenClock()
        settings = Settings(gateway="sandbox", **configured)
        clients, tables = _connections()
        services = build(
            settings,
            clock=clock,
            rng=random.Random(1),
            tables=tables,
            client_ids=CLIENT_IDS,
            gateway=None
            if settings.gateways
            else SandboxGateway(settings, Capabilities(recognises_ids=True, counts_parts=counts_parts)),
            **clients,
        )
        with mock.patch.object(bootstrap, "get_services", return_value=services):
            api = Api(HttpFront(app, clock, "us-east-1"), services, clock, aws, clients["sqs"])
            api.secrets = dict(set_up(("api", settings.resource_prefix), lambda: _with_users(services, clients)))
            api.sign_in_as(Role.ADMIN)
            aws.calls.clear()
            yield api
