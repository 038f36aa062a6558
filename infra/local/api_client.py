"""A client of the running service's REST API, for commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import requests

from infra.local.data_directory import DataDirectory, read_json

_TIMEOUT = 60.0  # seconds for each call


class CallFailed(Exception):
    """The service does not answer, or refuses; the text is for a person."""


@dataclass(frozen=True, slots=True)
class Target:
    """The address of the service, who may use it, and the address of its gateway, if known."""

    url: str
    username: str
    password: str
    gateway: str = ""

    @classmethod
    def found(cls, environ: Mapping[str, str]) -> Self:
        """The target from the running service's file, or from the environment.

        Raises CallFailed if that is not enough.
        """
        data_dir = environ.get("DATA_DIR") or ".local"
        directory = DataDirectory(data_dir, make=False)
        running, known = read_json(directory.service_file) or {}, read_json(directory.admin_file) or {}
        url = environ.get("API_URL") or running.get("url")
        url = url or (f"http://127.0.0.1:{environ['PORT']}" if environ.get("PORT") else "")
        if not url:
            raise CallFailed(
                f"nothing is running in DATA_DIR {data_dir}: start `make run` in another terminal, "
                "or set API_URL and API_TOKEN"
            )
        username = environ.get("ADMIN_USERNAME") or running.get("username") or "admin"
        password = environ.get("ADMIN_PASSWORD") or (known.get("password") if known.get("username") == username else "")
        if not password:
            raise CallFailed(
                f"the password of {username} is not known here: set ADMIN_PASSWORD, as `make run` has it, or API_TOKEN "
                "with API_URL"
            )
        return cls(url.rstrip("/"), username, password, running.get("gateway") or "")

    def token(self, name: str) -> str:
        """A new token with this name. Raises CallFailed, with what to do, if the password is wrong."""
        credentials = {"username": self.username, "password": self.password, "name": name}
        try:
            issued: str = RunningService(self.url, "").call("POST", "/auth-token", json=credentials)["token"]
        except Refused as error:
            if error.status != requests.codes.unauthorized:
                raise
            raise CallFailed(
                f"{self.url} does not take the password that is known for {self.username}: set ADMIN_PASSWORD to the "
                "one that the service has"
            ) from error
        return issued


class Refused(CallFailed):
    """The service answered with an error."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class RunningService:
    """Calls the API with a token."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"

    @classmethod
    def found(cls, environ: Mapping[str, str], name: str) -> Self:
        """The service of API_URL and API_TOKEN, or of `make run`. Raises CallFailed if there is none.

        `name` is for a new token.
        """
        if environ.get("API_URL") and environ.get("API_TOKEN"):
            return cls(environ["API_URL"], environ["API_TOKEN"])
        target = Target.found(environ)
        return cls(target.url, target.token(name))

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Make a call. Returns the answer's body. Raises Refused, with the service's words, for an error."""
        try:
            answer = self._session.request(method, self._url + path, timeout=_TIMEOUT, **options)
            value: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise CallFailed(
                f"nothing answers at {self._url} as the service would: is `make run` still running?"
            ) from error
        if not answer.ok:
            errors = "; ".join(f"{one['field']} {one['message']}" for one in value.get("errors", []))
            told = f"{method} {path}: {answer.status_code} {errors or value.get('detail', '')}"
            raise Refused(told, answer.status_code)
        return value
