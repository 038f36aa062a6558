"""HTTP/1.1 answers, parsed by httptools, which is the C parser of Node.js.

urllib3 and the standard library read answers line by line in Python, with the parser for e-mail headers.
"""

from __future__ import annotations

import httptools

MOST_HEAD = 65_536  # bytes before the body
MOST_HEADERS = 100
_SAID = frozenset({"content-length", "transfer-encoding"})


class HttpAnswer:
    """An answer as far as it was received. Names of headers are in lower case; a repeated header has its last value.

    When it is `complete`, `keep` says whether the connection may be used for another request.
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
        # The standard library accepts this too; it would be dangerous only for a proxy.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )

    def feed(self, data: bytes) -> None:
        """Parse received bytes; b"" is the end of the connection.

        Raises httptools.HttpParserError if they are not an answer, ConnectionResetError if it ends too early.
        """
        if not data:
            self._end()
            return
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # to another protocol, which was not requested
            self.complete = True
        except httptools.HttpParserError:
            if not self.complete:  # else it is data after the answer
                raise
            self.keep = False
        if not (self._in_body or self.complete) and self._fed > MOST_HEAD:
            raise httptools.HttpParserError("too long a head")

    def _end(self) -> None:
        if not self._in_body or _SAID & self.headers.keys():
            raise ConnectionResetError("the connection was closed before the answer was complete")
        self.complete = True  # a body of unknown length ends with the connection

    # -- called by the parser

    def on_message_begin(self) -> None:
        """A second answer means that the two sides disagree about where the first one ends."""
        self.keep = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Headers after the answer are ignored."""
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
        """The answer is complete, unless it is an interim one (1xx)."""
        if self._in_body and not self.complete:
            self.keep = self._parser.should_keep_alive()
            self.complete = True
