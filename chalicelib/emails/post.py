"""Sending e-mails: through Amazon SES, over SMTP, or into a file, depending on the scheme of MAIL_URL."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from ..domain.errors import Unavailable

_SMTP_PORT = 25
_CONNECT, _READ = 3, 20  # seconds


class NotSent(Unavailable):
    """The e-mail was certainly not sent; it may be tried again."""


class MaybeSent(Unavailable):
    """The e-mail may or may not have been sent: the connection broke before the answer."""


class Post(Protocol):
    """Takes e-mails."""

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> str:
        """Send an e-mail. Returns where it went. Raises NotSent or MaybeSent."""


class SesPost:
    """Amazon SES. Calls are not repeated, because SES would send the e-mail again."""

    def __init__(self, url: str) -> None:
        del url
        self._client: Any = None

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> str:
        if self._client is None:
            config = Config(connect_timeout=_CONNECT, read_timeout=_READ, retries={"total_max_attempts": 1})
            self._client = botocore.session.get_session().create_client("sesv2", config=config)
        try:
            answer = self._client.send_email(
                FromEmailAddress=str(message["From"]),
                Destination={"ToAddresses": list(recipients)},
                Content={"Raw": {"Data": message.as_bytes(policy=SMTP)}},
            )
        except (ClientError, EndpointConnectionError, ConnectTimeoutError) as error:
            raise NotSent(f"SES: {_code(error)}") from error
        except BotoCoreError as error:
            raise MaybeSent(f"SES: {type(error).__name__}") from error
        return f"SES {answer['MessageId']}"


def _code(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


class SmtpPost:
    """A mail server that needs no login, such as one on this machine: smtp://host:port."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "localhost", parts.port or _SMTP_PORT

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> str:
        try:
            with smtplib.SMTP(self._host, self._port, timeout=_READ) as server:
                server.send_message(message, to_addrs=list(recipients))
        except smtplib.SMTPServerDisconnected as error:
            raise MaybeSent(f"SMTP: {type(error).__name__}") from error
        except (smtplib.SMTPException, ConnectionError) as error:
            raise NotSent(f"SMTP: {type(error).__name__}") from error
        except OSError as error:
            raise MaybeSent(f"SMTP: {type(error).__name__}") from error
        return f"{self._host}:{self._port}"


class FilePost:
    """Files in a directory, to be opened with any mail program: file:///directory."""

    def __init__(self, url: str) -> None:
        self._directory = Path(unquote(urlsplit(url).path))

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> str:
        del recipients
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        path = self._directory / f"{name}.eml"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            path.write_bytes(message.as_bytes(policy=SMTP))
        except OSError as error:
            raise NotSent(f"{path}: {error.strerror}") from error
        return str(path)


POSTS: dict[str, Callable[[str], Post]] = {"ses": SesPost, "smtp": SmtpPost, "file": FilePost}


def create_post(url: str) -> Post:
    """The post for the scheme of MAIL_URL. Raises ValueError if the scheme is not supported."""
    scheme = url.partition(":")[0]
    if scheme not in POSTS:
        raise ValueError(f"MAIL_URL: {scheme!r} is not supported; use {', '.join(POSTS)}")
    return POSTS[scheme](url)
