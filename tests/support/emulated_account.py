"""MiniStack as the account that a package is deployed to: Lambdas are processes, and their calls are noted.

`python -m tests.support.emulated_account PORT FILE PYTHON` serves on 127.0.0.1 until a signal comes. FILE gets, as
JSON, which permission the functions needed, by the function's name; PYTHON runs them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
import threading
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from infra.local.asgi_server import Application, Message, Receive, Scope, Send, create_server
from infra.local.loopback import listen
from tests.contract.calls import permissions_for
from tests.contract.packaged import Permission
from tests.support.aws import Call

LONGEST = 150.0  # seconds that a function may take
_SERVICES = {"DynamoDB_20120810": "dynamodb", "AmazonSQS": "sqs", "secretsmanager": "secretsmanager"}


class RecordingApplication:
    """MiniStack's ASGI application, which notes what each function asks for before it is answered."""

    def __init__(self, application: Application, file: Path) -> None:
        self._application = application
        self._file = file
        self._used: defaultdict[str, set[Permission]] = defaultdict(set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {bytes(name): bytes(value).decode() for name, value in scope.get("headers", [])}
        target = headers.get(b"x-amz-target", "")
        function = _function(headers.get(b"authorization", ""))
        if not target or not function:
            await self._application(scope, receive, send)
            return
        body = bytearray()

        async def received() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    self._note(function, target, bytes(body))
            return message

        await self._application(scope, received, send)

    def _note(self, function: str, target: str, body: bytes) -> None:
        prefix, _, operation = target.partition(".")
        needed = permissions_for(Call(0, f"{_SERVICES[prefix]}.{operation}", body)) - self._used[function]
        if needed:
            self._used[function] |= needed
            text = json.dumps({name: sorted(used) for name, used in self._used.items()})
            new = self._file.with_suffix(".new")
            new.write_text(text, encoding="utf-8")
            new.replace(self._file)


def _function(authorization: str) -> str:
    """The function whose credentials signed a request, "" if it was none."""
    key = authorization.partition("Credential=")[2].partition("/")[0]
    return key.removeprefix("function-") if key.startswith("function-") else ""


def _credentials(config: dict[str, Any]) -> dict[str, str]:
    """MiniStack gives all functions the same; who calls must be told from whom."""
    return {
        "AWS_ACCESS_KEY_ID": f"function-{config['FunctionName']}",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "",
    }


def _gently(kill: Callable[[list[Any]], None]) -> Callable[[list[Any]], None]:
    """MiniStack ends a function's processes at once when its code changes; Lambda lets them finish what they do.

    In threads of their own: removing the many files of each would keep MiniStack from answering anybody for a minute.
    """

    def finished(worker: Any) -> None:
        deadline = time.monotonic() + LONGEST
        while worker.in_use and time.monotonic() < deadline:
            time.sleep(0.05)
        kill([worker])

    def kill_workers(workers: list[Any]) -> None:
        for worker in workers:
            if worker is not None:
                threading.Thread(target=finished, args=(worker,), daemon=True).start()

    return kill_workers


class UnpackedOnce(zipfile.ZipFile):
    """A function's zip. MiniStack unpacks it for each process; here all with the same code have links to one copy."""

    _unpacking = threading.Lock()

    def extractall(self, path: Any = None, *_: Any) -> None:
        code = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
        whole = Path(tempfile.gettempdir(), f"code-{code}")
        with self._unpacking:
            if not whole.exists():
                super().extractall(whole.with_suffix(".new"))
                whole.with_suffix(".new").rename(whole)
        for entry in whole.iterdir():
            Path(path, entry.name).symlink_to(entry)


def main() -> int:
    """Serve until a signal comes."""
    port, file, python = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    # MiniStack reads its environment when it is imported.
    os.environ |= {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "INFO",
        "LAMBDA_EXECUTOR": "local",
        # Without a daemon's address none is looked for.
        "DOCKER_HOST": "unix:///nonexistent/docker.sock",
    }
    import ministack.app
    from ministack.core import lambda_runtime

    sys.executable = python  # MiniStack starts functions with it
    server = create_server(RecordingApplication(ministack.app.app, file), lifespan=True)
    with mock.patch.multiple(
        lambda_runtime,
        execution_credentials=_credentials,
        kill_workers=_gently(lambda_runtime.kill_workers),
        zipfile=SimpleNamespace(**{**vars(zipfile), "ZipFile": UnpackedOnce}),
    ):
        asyncio.run(server.serve(sockets=[listen(port)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
