"""The requests that come over one connection, read by httptools, the parser of Node.js in C, as WSGI has them."""

from __future__ import annotations

import io
import re
from http import HTTPStatus
from typing import Any

import httptools

BODY_LIMIT = 10 * 1024 * 1024  # bytes, API Gateway's
HEADER_LIMIT = 32 * 1024
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")

Environ = dict[str, Any]


class Requests:
    """What has come over a connection so far.

    `refused` is the status of an answer after which nothing more is read. `waits` says that the caller sends the body
    once they are told to.
    """

    def __init__(self, about: Environ) -> None:
        """`about` is what the environment of each request begins with."""
        self.refused: HTTPStatus | None = None
        self.waits = False
        self._about = about
        self._whole: list[tuple[Environ, bool]] = []
        self._parser = httptools.HttpRequestParser(self)
        self._begins = True
        self._in_head = False
        self._size = 0  # bytes of the head, then of the body
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def feed(self, data: bytes) -> list[tuple[Environ, bool]]:
        """The requests that are whole with these bytes, each with whether the connection is kept after its answer."""
        if self._begins:
            line, end, rest = data.partition(b"\r\n")
            if not line.isascii():  # as curl sends an address; what it means is left to who answers it
                data = _BEYOND_ASCII.sub(lambda one: b"%%%02X" % one[0][0], line) + end + rest
        fed = self._size + len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # to another protocol: it is answered in this one, and closed
            self._whole = [(environ, False) for environ, _ in self._whole]
        except httptools.HttpParserError:
            self.refused = self.refused or HTTPStatus.BAD_REQUEST
        if self._in_head:
            self._size = fed
            if fed > HEADER_LIMIT:
                self.refused = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        whole, self._whole = self._whole, []
        return whole

    # -- what the parser calls

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begins, self._in_head, self._size = False, True, 0
        self._url, self._headers, self._body = b"", {}, []

    def on_url(self, part: bytes) -> None:
        """More of its address."""
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers; one that comes twice has all of its values."""
        self._size += len(name) + len(value)
        key, text = name.decode("latin-1").upper().replace("-", "_"), value.decode("latin-1")
        if b"_" not in name:  # which would be taken for a hyphen
            self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        """Its body begins."""
        self._in_head = False
        announced = self._headers.get("CONTENT_LENGTH", "")
        if self._size + len(self._url) > HEADER_LIMIT:
            self.refused = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        elif announced.isdecimal() and int(announced) > BODY_LIMIT:
            self.refused = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        self.waits = self._headers.get("EXPECT", "").lower() == "100-continue"
        self._size = 0

    def on_body(self, part: bytes) -> None:
        """More of its body."""
        self.waits = False
        self._size += len(part)
        if self._size > BODY_LIMIT:
            self.refused = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        else:
            self._body.append(part)

    def on_message_complete(self) -> None:
        """It is whole, unless it is refused."""
        self._begins, self.waits, self._size = True, False, 0
        if self.refused:
            return
        url = self._url.decode("latin-1")
        environ = {
            **self._about,
            "REQUEST_METHOD": self._parser.get_method().decode("latin-1"),
            "REQUEST_URI": url,
            "PATH_INFO": url.partition("?")[0],
            "SERVER_PROTOCOL": f"HTTP/{self._parser.get_http_version()}",
            "wsgi.input": io.BytesIO(b"".join(self._body)),
        }
        for name, value in self._headers.items():
            environ[name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"] = value
        self._whole.append((environ, self._parser.should_keep_alive()))
