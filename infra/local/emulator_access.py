"""Who may call the embedded emulator: callers with the credentials of its data directory, but no web page.

A page in a browser can send requests to this machine, some without a preflight, and with a host name that resolves to
127.0.0.1 (DNS rebinding). So a call must be of a kind that browsers do not send, to the emulator's own address, and
signed like AWS calls (Signature Version 4) with a secret that is random for each data directory.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from chalicelib.aws_signatures import authorization
from infra.local.asgi_server import Scope
from infra.local.data_directory import DataDirectory, read_json, write_private

# Headers that browsers add themselves; pages cannot remove them, and SDKs do not send them.
_FROM_BROWSERS = frozenset({"origin", "referer", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "cookie"})
_FORM = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/ ]+/\d{8}/([\w-]+)/([\w-]+)/aws4_request, SignedHeaders=([a-z0-9;-]+), "
)
_QUICK_SECONDS = 60  # calls that were signed longer ago are checked in more detail
_SIGNED = frozenset({"host", "x-amz-date", "x-amz-target"})  # the least that a signature must cover


class NoAccessError(Exception):
    """The call is refused; `code` is AWS's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Access:
    """The credentials of one data directory."""

    key_id: str
    secret: str

    @classmethod
    def of(cls, directory: DataDirectory) -> Access:
        """The credentials of a directory, made at its first use. Only its owner can read them."""
        known = read_json(directory.access_file) or {}
        if not (known.get("key_id") and known.get("secret")):
            known = {"key_id": f"LOCAL{secrets.token_hex(8).upper()}", "secret": secrets.token_urlsafe(32)}
            write_private(directory.access_file, known)
        return cls(str(known["key_id"]), str(known["secret"]))

    def put_into(self, environ: MutableMapping[str, str]) -> None:
        """Set them for the AWS clients of a process and its children."""
        environ.update(AWS_ACCESS_KEY_ID=self.key_id, AWS_SECRET_ACCESS_KEY=self.secret)

    def proof(self, text: str) -> str:
        """A proof for a text, which only those who know the secret can make."""
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    def proves(self, text: str, proof: str) -> bool:
        """Whether a proof is right for the text."""
        return hmac.compare_digest(self.proof(text).encode(), proof.encode())


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request by name. Raises NoAccessError for a repeated one, which SDKs do not send."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in headers:
            raise NoAccessError("InvalidSignatureException", f"the header {key} comes twice")
        headers[key] = value.decode("latin-1")
    return headers


def check_sender(headers: Mapping[str, str], port: int) -> None:
    """Raises NoAccessError if a web page may have sent it, or if it is for another name of this machine."""
    found = _FROM_BROWSERS.intersection(headers)
    if found:
        raise NoAccessError("AccessDeniedException", f"the emulator answers no browser: {min(found)}")
    if headers.get("host") != f"127.0.0.1:{port}":
        raise NoAccessError("AccessDeniedException", "the emulator answers at its own address only")


def check_signature(access: Access, scope: Scope, headers: Mapping[str, str], body: bytes) -> str:
    """The region of a call. Raises NoAccessError unless it was signed just now with the directory's credentials."""
    if region := _signed_as_we_sign(access, scope, headers, body):
        return region
    from ministack.core.sigv4 import header_signature_failure, parse_header_signature, request_time_failure

    algorithm = headers.get("authorization", "").partition(" ")[0]
    signature: Any = parse_header_signature(headers) if algorithm == "AWS4-HMAC-SHA256" else ("", "not signed")
    if isinstance(signature, tuple):
        raise NoAccessError("MissingAuthenticationTokenException", "the call is not signed")
    if not hmac.compare_digest(signature.access_key_id.encode(), access.key_id.encode()):
        raise NoAccessError("UnrecognizedClientException", "the access key is not that of this data directory")
    if not _SIGNED.issubset(signature.signed_headers.split(";")):
        raise NoAccessError("InvalidSignatureException", f"the signature must cover {', '.join(sorted(_SIGNED))}")
    digest = headers.get("x-amz-content-sha256")
    if digest is not None and digest != hashlib.sha256(body).hexdigest():
        raise NoAccessError("InvalidSignatureException", "the signature does not cover the body")
    failure = request_time_failure(signature) or header_signature_failure(
        signature, access.secret, scope["method"], scope["path"], {}, headers, body
    )
    if failure:
        raise NoAccessError("InvalidSignatureException", failure[0])
    return str(signature.region)


def _signed_as_we_sign(access: Access, scope: Scope, headers: Mapping[str, str], body: bytes) -> str:
    """The region of a call that was signed just now in the way that the service signs.

    "" for any other call, which the complete check must decide.
    """
    given = headers.get("authorization", "")
    form = _FORM.match(given)
    if not form or scope["method"] != "POST" or scope["path"] != "/":
        return ""
    region, service, names = form.groups()
    signed = {name: headers.get(name, "") for name in names.split(";")}
    if not _SIGNED.issubset(signed) or abs(_sent(signed["x-amz-date"]) - time.time()) > _QUICK_SECONDS:
        return ""
    expected = authorization(access.key_id, access.secret, region, service, signed, body)
    return region if hmac.compare_digest(expected.encode(), given.encode()) else ""


@lru_cache(maxsize=16)
def _sent(date: str) -> float:
    """The second that a header x-amz-date names, in seconds since 1970; long ago for one that names none."""
    try:
        return datetime.strptime(f"{date}+0000", "%Y%m%dT%H%M%SZ%z").timestamp()
    except ValueError:
        return 0.0
