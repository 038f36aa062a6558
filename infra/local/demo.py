"""`make demo`: a mailing to 1,000 new clients of the running service, watched until it has finished."""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from chalicelib.domain.statuses import MailingStatus
from infra.local.api_client import CallFailed, Target

CLIENTS = 1000
_THREADS = 4
_POLL = 0.25
_BOUND = 600.0
_TIMEOUT = 30.0
_ENDED = {str(status) for status in MailingStatus if status.ended}
_OK, _CREATED, _CONFLICT = 200, 201, 409


def target(environ: Mapping[str, str]) -> Target:
    """The service to use. Raises CallFailed if there is none, or if its gateway would send to people."""
    found = Target.found(environ)
    gateway = urlsplit(found.gateway).hostname
    if gateway not in {None, "127.0.0.1", "localhost", "::1"}:
        raise CallFailed(f"the gateway is {gateway}: the demo would send {CLIENTS} messages to people")
    return found


class Api:
    """The REST API over kept connections, one for each thread."""

    def __init__(self, target: Target) -> None:
        self._url = target.url
        self._local = threading.local()
        self._headers = {"Authorization": f"Token {target.token('demo')}"}

    def call(self, method: str, path: str, body: Any, *expected: int) -> dict[str, Any]:
        """Make a call. Returns its answer. Raises CallFailed if the status is not one of `expected`."""
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False
        try:
            answer = session.request(method, self._url + path, json=body, headers=self._headers, timeout=_TIMEOUT)
        except requests.RequestException as error:
            raise CallFailed(f"nothing answers at {self._url}: is `make run` still running?") from error
        if answer.status_code not in expected:
            raise CallFailed(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
        value = answer.json()
        return {"status_code": answer.status_code, **value} if isinstance(value, dict) else {}


def create_clients(api: Api, tag: str, count: int) -> None:
    """Create `count` new clients with a tag of their own."""
    first = secrets.randbelow(10_000_000 - 2 * count)

    def create(number: int) -> None:
        # Numbers of an earlier demo are taken; the next free block is a random one away.
        for attempt in range(5):
            phone = (first + number + attempt * secrets.randbelow(5_000_000)) % 10_000_000
            body = {"phone_number": f"+7999{phone:07d}", "tag": tag, "timezone": "Europe/Moscow"}
            if api.call("POST", "/api/clients/", body, _CREATED, _CONFLICT)["status_code"] == _CREATED:
                return
        raise CallFailed("no free phone number was found")

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(create, range(count)))


def create_mailing(api: Api, tag: str) -> str:
    """Create a mailing to everyone with the tag, which starts now. Returns its id."""
    now = datetime.now(UTC)
    body = {
        "text": "Hello from the demo",
        "clients": {"tag": tag},
        "start_time": now.isoformat(),
        "end_time": (now + timedelta(hours=1)).isoformat(),
    }
    return str(api.call("POST", "/api/mailing/", body, _CREATED)["id"])


def watch(api: Api, mailing_id: str, show: Callable[[int], None]) -> dict[str, Any]:
    """Wait for a mailing's end and return it. `show` gets the number of sent messages meanwhile."""
    deadline = time.monotonic() + _BOUND
    while True:
        mailing = api.call("GET", f"/api/mailing/{mailing_id}/", None, _OK)
        show(sent(mailing))
        if mailing.get("status") in _ENDED:
            return mailing
        if time.monotonic() > deadline:
            raise CallFailed(f"mailing {mailing_id} has not finished within {_BOUND:.0f} s")
        time.sleep(_POLL)


def sent(mailing: Mapping[str, Any]) -> int:
    """How many messages of a mailing were sent so far."""
    return int((mailing.get("counts") or {}).get("sent", 0))


def run(console: Console, environ: Mapping[str, str], count: int = CLIENTS) -> None:
    """Run the demo. Raises CallFailed if it cannot continue."""
    api = Api(target(environ))
    tag = f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    began = time.monotonic()
    create_clients(api, tag, count)
    console.print(f"{count} clients with the tag {tag} created in {time.monotonic() - began:.1f} s")
    began = time.monotonic()
    mailing_id = create_mailing(api, tag)
    columns = (TextColumn("sent"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("sent", total=count)
        mailing = watch(api, mailing_id, lambda done: progress.update(task, completed=done))
    seconds = time.monotonic() - began
    done = sent(mailing)
    console.print(
        f"mailing {mailing_id} {mailing['status']}: {done} sent, {count - done} not, "
        f"{seconds:.1f} s, {done / seconds:.0f} messages/s",
        soft_wrap=True,
    )
    if done != count:
        raise CallFailed(f"{count - done} messages were not sent: {mailing.get('counts')}")


def main() -> int:
    """Returns 1, with the reason in one printed line, if not everything was sent."""
    try:
        run(Console(highlight=False), os.environ)
    except CallFailed as error:
        sys.stderr.write(f"make demo: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
