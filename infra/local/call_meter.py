"""What each kind of call costs the emulator: its CPU time by AWS operation, for `make bench`."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.asgi_server import Application, Receive, Scope, Send


@dataclass(slots=True)
class Line:
    """Calls of one operation, and the CPU seconds that answering them took."""

    calls: int = 0
    seconds: float = 0.0


class CallMeter:
    """An ASGI application that measures another one; `write` saves the results."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._lines: defaultdict[str, Line] = defaultdict(Line)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = self._application(scope, receive, send)
        if scope["type"] != "http":
            await call
            return
        target = next((value for name, value in scope["headers"] if name == b"x-amz-target"), b"other")
        line = self._lines[target.decode().rpartition(".")[2]]
        line.calls += 1
        await _Metered(call, line)  # type: ignore[arg-type]

    def write(self, path: Path) -> None:
        """Write calls and CPU seconds by operation, as JSON."""
        lines = {name: {"calls": line.calls, "seconds": line.seconds} for name, line in self._lines.items()}
        path.write_text(json.dumps(lines), encoding="utf-8")


class _Metered:
    """Awaits a coroutine and adds up the time of its steps, without that of other calls while it waits."""

    def __init__(self, call: Coroutine[Any, Any, None], line: Line) -> None:
        self._call = call
        self._line = line

    def __await__(self) -> Generator[Any, Any, None]:
        value: Any = None
        while True:
            began = time.thread_time()
            try:
                step = self._call.send(value)
            except StopIteration:
                return
            finally:
                self._line.seconds += time.thread_time() - began
            value = yield step
