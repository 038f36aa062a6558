"""The e-mails that were sent into a directory, as a mail program reads them."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path


def read_emails(directory: Path) -> list[EmailMessage]:
    """What was sent, the oldest first."""
    found = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in sorted(directory.glob("*.eml"))]
    return [message for message in found if isinstance(message, EmailMessage)]


def plain(message: EmailMessage) -> str:
    """What is shown by a program that shows text only."""
    return _part(message, "plain")


def html(message: EmailMessage) -> str:
    """What all others show, without its images."""
    return _part(message, "html")


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")
