"""The daemon that X-Ray's SDK sends to, as far as tests need one: it keeps what it hears."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any


class TraceDaemon:
    """Listens on a UDP port of loopback until it is stopped."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    @property
    def address(self) -> str:
        """As AWS_XRAY_DAEMON_ADDRESS has it."""
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    def steps(self) -> Iterator[dict[str, Any]]:
        """Every segment and subsegment heard so far, those within others too."""
        left = [json.loads(text.partition("\n")[2]) for text in list(self.heard)]
        while left:
            step = left.pop()
            yield step
            left += step.get("subsegments", [])

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                self.heard.append(self._socket.recv(65536).decode())
            except TimeoutError:
                continue
