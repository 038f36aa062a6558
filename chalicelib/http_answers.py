"""An answer of HTTP/1.1 as it comes from a connection, read by httptools, the parser of Node.js in C.

urllib3 and the standard library read one line by line in Python, and its headers as those of an e-mail.
"""

from __future__ import annotations

import httptools

MOST_HEAD = 65_536  # bytes before the body
MOST_HEADERS = 100
_SAID = frozenset({"content-length", "transfer-encoding"})


class HttpAnswer:
    """What has come of an answer so far. Names of headers are in lower case; one that comes twice has its last value.

    Once it is `complete`, `keep` says whether the connection may be used for another request.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []  # of the body
        self.size = 0  # of them together, in bytes
        self.complete = False
        self.keep = False
        self._fed = self._lines = 0
        self._in_body = False
        self._parser = httptools.HttpResponseParser(self)
        # What the standard library reads, too; it would be dangerous only in between a sender and a server.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )

    def feed(self, data: bytes) -> None:
        """Take what was read; nothing is the end of the connection.

        Raises httptools.HttpParserError if it is not an answer, ConnectionResetError if it ends too early.
        """
        if not data:
            self._end()
            return
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # to another protocol, which nobody asked for
            self.complete = True
        except httptools.HttpParserError:
            if not self.complete:  # else it is what follows
                raise
            self.keep = False
        if not (self._in_body or self.complete) and self._fed > MOST_HEAD:
            raise httptools.HttpParserError("too long a head")

    def _end(self) -> None:
        if not self._in_body or _SAID & self.headers.keys():
            raise ConnectionResetError("the connection was closed before the answer was complete")
        self.complete = True  # a body of no known length ends with its connection

    # -- what the parser calls

    def on_message_begin(self) -> None:
        """Another one after it means that the two sides do not agree where an answer ends."""
        self.keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of what follows the answer nothing counts."""
        self._lines += 1
        if self._lines > MOST_HEADERS:
            raise ValueError("too many headers")
        if not self.complete:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The body begins."""
        if not self.complete:
            self.status = self._parser.get_status_code()
            self._in_body = self.status >= 200

    def on_body(self, part: bytes) -> None:
        """More of it."""
        if not self.complete:
            self.parts.append(part)
            self.size += len(part)

    def on_message_complete(self) -> None:
        """An answer that only says that the answer will come does not count."""
        if self._in_body and not self.complete:
            self.keep = self._parser.should_keep_alive()
            self.complete = True
