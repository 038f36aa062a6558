"""Lambda's runtime API for one execution environment: what a function's process asks for its events and answers them.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_PREFIX = "/2018-06-01/runtime"
Answered = Callable[[str, bytes, bool], None]  # the event's id, the answer, whether it is an error


class RuntimeApi:
    """Serves one process at a time; `address` is what AWS_LAMBDA_RUNTIME_API wants."""

    def __init__(self, answered: Answered) -> None:
        self.answered = answered
        self.ready = threading.Event()
        self.init_error: bytes | None = None
        self._work: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def expect_process(self) -> None:
        """Forget the process before: a new one is about to start."""
        self.ready.clear()
        self.init_error = None
        self._work = queue.Queue()

    def put(self, event: dict[str, Any] | None) -> None:
        """Give the process its next event; None: there are no more."""
        self._work.put(event)

    def next(self) -> dict[str, Any] | None:
        """The event that the process is given; waits for one."""
        work = self._work
        self.ready.set()
        return work.get()

    def failed_to_start(self, error: bytes) -> None:
        """The process could not import its handler."""
        self.init_error = error
        self.ready.set()

    def close(self) -> None:
        """Serve no more."""
        self.put(None)
        self._server.shutdown()
        self._server.server_close()


def _handler_for(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path != f"{_PREFIX}/invocation/next":
                self._answer(404)
                return
            event = api.next()
            if event is None:
                self.close_connection = True  # the process has been killed
                return
            headers = {
                "Lambda-Runtime-Aws-Request-Id": event["invoke-id"],
                "Lambda-Runtime-Deadline-Ms": str(event["deadline"]),
                "Lambda-Runtime-Invoked-Function-Arn": event["invoked-function-arn"],
                "Lambda-Runtime-Trace-Id": event["trace-id"],
                "Content-Type": "application/json",
            }
            self._answer(200, event["payload"].encode(), headers)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == f"{_PREFIX}/init/error":
                api.failed_to_start(body)
            else:
                _, _, request_id, what = self.path.removeprefix(_PREFIX).split("/")
                api.answered(request_id, body, what == "error")
            self._answer(202)

        def _answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """The emulator's log is long enough."""

    return Handler
