"""What a call of the gateway sends out of AWS, counted at a socket that the real adapter calls."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from functools import lru_cache

from chalicelib.config import Settings
from chalicelib.domain.messages import message_id_for
from chalicelib.gateways import create_gateway
from chalicelib.gateways.base import Outgoing

TEXT = "x" * 160  # a whole SMS
TOKEN = "x" * 300  # a JWT
# A record of TLS 1.3 adds 22 bytes, IP and TCP 40 to each of two packets: the request, and the receipt of the answer.
# A handshake, about 800 bytes, is once for thousands of calls of a kept connection.
AROUND = 22 + 2 * 40
_ANSWER = b'{"code": 0, "message": "OK"}'
_BOUND = 10.0  # seconds


@lru_cache(maxsize=1)
def bytes_of_a_call() -> int:
    """Bytes of one call, including all overhead."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(_BOUND)
        heard: list[bytes] = []
        thread = threading.Thread(target=_answer_once, args=(server, heard), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        gateway = create_gateway(replace(Settings(), gateway_url=url, gateway_token=TOKEN))
        answer = gateway.send(Outgoing.of(message_id_for("0" * 26, "a" * 16), "+79161234567", TEXT))
        thread.join(_BOUND)
    if answer.http_status != 200:
        raise RuntimeError(f"the call failed: {answer}")
    return len(b"".join(heard)) + AROUND


def _answer_once(server: socket.socket, heard: list[bytes]) -> None:
    connection, _ = server.accept()
    with connection:
        connection.settimeout(_BOUND)
        while TEXT.encode() + b'"}' not in b"".join(heard):
            heard.append(connection.recv(65536))
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(_ANSWER)}\r\n\r\n"
        connection.sendall(head.encode() + _ANSWER)
