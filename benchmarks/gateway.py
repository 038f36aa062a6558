"""A stand-in for the gateway, in a process of its own: answers every message after a latency and remembers when.

`python -m benchmarks.gateway` prints the ports of the gateway and of its control, and serves until its end. Control, by
GET: `/config?latency_ms=20`, `/reset`, `/stats` (received, unique, first and last arrival in Unix time, the latest
address for receipts), `/log` (of every call [id, time, accepted]).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psutil
import uvloop

_OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n{"code":0,"message":"OK"}'
_BAD = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
_BOUND = 30.0  # seconds


@dataclass
class State:
    """What has come, and how to answer it."""

    latency: float = 0.02
    calls: list[tuple[int, float, bool]] = field(default_factory=list)
    receipt_url: str = ""  # of the latest message

    def stats(self) -> dict[str, Any]:
        ids = [number for number, _, accepted in self.calls if accepted]
        moments = [moment for _, moment, _ in self.calls]
        return {
            "received": len(self.calls),
            "unique_accepted": len(set(ids)),
            "duplicates_accepted": len(ids) - len(set(ids)),
            "first": min(moments, default=None),
            "last": max(moments, default=None),
            "receipt_url": self.receipt_url,
        }


class Connection(asyncio.Protocol):
    """One kept connection; requests come whole or in pieces, one after the other."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            _, _, length = head.partition(b"content-length:")
            size = end + 4 + int(length.split(b"\r\n", 1)[0] or 0) if length else end + 4
            if len(self._received) < size:
                return
            body, self._received = self._received[end + 4 : size], self._received[size:]
            self._take(head, body)

    def _take(self, head: bytes, body: bytes) -> None:
        number = int(head.split(b" ", 2)[1].rpartition(b"/")[2])
        message = json.loads(body)
        good = message["id"] == number and isinstance(message["phone"], int) and b"authorization: bearer " in head
        _, _, url = head.partition(b"x-receipt-url: ")
        self._state.receipt_url = url.split(b"\r\n", 1)[0].decode()
        self._state.calls.append((number, time.time(), good))
        asyncio.get_running_loop().call_later(self._state.latency, self._answer, _OK if good else _BAD)

    def _answer(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


async def _control(state: State, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    url = urlsplit((await reader.readline()).split()[1].decode())
    while (await reader.readline()).strip():
        pass
    if url.path == "/reset":
        state.calls.clear()
    for name, value in parse_qsl(url.query):
        if name == "latency_ms":
            state.latency = float(value) / 1000
    body = json.dumps(state.calls if url.path == "/log" else state.stats()).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.close()


async def _serve() -> None:
    state = State()
    loop = asyncio.get_running_loop()
    gateway = await loop.create_server(lambda: Connection(state), "127.0.0.1", 0, backlog=1024)
    control = await asyncio.start_server(lambda *streams: _control(state, *streams), "127.0.0.1", 0)
    ports = [server.sockets[0].getsockname()[1] for server in (gateway, control)]
    sys.stdout.write(f"{ports[0]} {ports[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway and its control."""

    url: str
    control_url: str
    pid: int

    def control(self, path: str) -> Any:
        """What its control answers."""
        with urllib.request.urlopen(self.control_url + path, timeout=_BOUND) as answer:  # noqa: S310 - loopback
            return json.load(answer)

    def cpu(self) -> float:
        """CPU seconds that it has used so far."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)


@contextmanager
def running() -> Iterator[Gateway]:
    """A gateway in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.gateway"], stdout=subprocess.PIPE, text=True)
    try:
        ports = process.stdout.readline().split() if process.stdout else []
        gateway, control = (f"http://127.0.0.1:{port}" for port in ports)
        yield Gateway(gateway, control, process.pid)
    finally:
        process.terminate()
        process.communicate(timeout=_BOUND)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())
