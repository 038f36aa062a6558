"""The REST API of a service that runs, for the commands that use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import requests

from infra.local.data_directory import DataDirectory, read_json

_TIMEOUT = 60.0  # seconds for each call


class CallFailed(Exception):
    """The service is not there, or refuses; the text is for the person at the terminal."""


class RunningService:
    """Calls the API with a token."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"

    @classmethod
    def found(cls, environ: Mapping[str, str], name: str) -> Self:
        """The one that API_URL and API_TOKEN name, or the one that `make run` wrote down; CallFailed for none.

        `name` is what a new token is called.
        """
        if environ.get("API_URL") and environ.get("API_TOKEN"):
            return cls(environ["API_URL"], environ["API_TOKEN"])
        data_dir = environ.get("DATA_DIR") or ".local"
        directory = DataDirectory(data_dir, make=False)
        running, known = read_json(directory.service_file) or {}, read_json(directory.admin_file) or {}
        url = environ.get("API_URL") or running.get("url")
        if not url:
            raise CallFailed(
                f"nothing is running in DATA_DIR {data_dir}: start `make run`, or set API_URL and API_TOKEN"
            )
        username = environ.get("ADMIN_USERNAME") or running.get("username") or "admin"
        password = environ.get("ADMIN_PASSWORD") or known.get("password") or ""
        credentials = {"username": username, "password": password, "name": name}
        return cls(url, cls(url, "").call("POST", "/auth-token", json=credentials)["token"])

    def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The answer's body; CallFailed with the service's own words where it refuses."""
        try:
            answer = self._session.request(method, self._url + path, timeout=_TIMEOUT, **options)
            value: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise CallFailed(f"{self._url} does not answer as the service would: {type(error).__name__}") from error
        if not answer.ok:
            errors = "; ".join(f"{one['field']} {one['message']}" for one in value.get("errors", []))
            raise CallFailed(f"{method} {path}: {answer.status_code} {errors or value.get('detail', '')}")
        return value
