"""Posts: where an e-mail goes, and whether a failure leaves it open if it went."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from moto import mock_aws

from chalicelib.emails.post import FilePost, MaybeSent, NotSent, SesPost, create_post

TO = ["ops@example.com", "boss@example.com"]


def _message() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "reports@example.com", ", ".join(TO)
    message["Subject"], message["Message-ID"] = "Café", "<daily-2026-03-01-x@example.com>"
    message.set_content("Größe: 5\n")
    return message


def test_a_file_is_what_a_mail_program_opens(tmp_path: Path) -> None:
    """Named as the e-mail, in a directory that is made."""
    where = create_post((tmp_path / "with space").as_uri()).send(_message(), TO)
    assert where == str(tmp_path / "with space" / "daily-2026-03-01-x.eml")
    read = message_from_bytes(Path(where).read_bytes(), policy=default)
    assert (read["Subject"], read.get_content()) == ("Café", "Größe: 5\r\n")


def test_a_file_that_cannot_be_written_was_not_sent(tmp_path: Path) -> None:
    """With the reason."""
    (tmp_path / "file").touch()
    with pytest.raises(NotSent, match="exists"):
        FilePost((tmp_path / "file").as_uri()).send(_message(), TO)


@mock_aws
def test_ses_gets_the_whole_e_mail() -> None:
    """From a verified identity, to everyone; what SES refuses was not sent, and says why."""
    with pytest.raises(NotSent, match="MessageRejected"):
        SesPost("ses:").send(_message(), TO)
    boto3.client("sesv2").create_email_identity(EmailIdentity="reports@example.com")
    assert SesPost("ses:").send(_message(), TO).startswith("SES ")


def test_an_answer_that_never_comes_leaves_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """SES may have taken it; it is not asked twice."""
    asked = []

    def silent(client: object, operation: str, request: object) -> None:
        asked.append(operation)
        raise ReadTimeoutError(endpoint_url="https://email.example")

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", silent)
    with pytest.raises(MaybeSent):
        SesPost("ses:").send(_message(), TO)
    assert asked == ["SendEmail"]


@contextmanager
def _mail_server(answers: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """A mail server that says these lines, one for each command, and then closes; with what it heard."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as connection, connection.makefile("rb") as lines:
            connection.sendall(answers[0])
            for answer in answers[1:]:
                line = lines.readline()
                while heard and heard[-1].startswith(b"DATA") and line != b".\r\n":
                    heard[-1] += line
                    line = lines.readline()
                heard.append(line)
                connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"smtp://127.0.0.1:{listener.getsockname()[1]}", heard
    thread.join(5)


GREETING = [b"220 hi\r\n", b"250 hello\r\n"]
ADDRESSED = [*GREETING, b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"]


@pytest.mark.enable_socket
def test_a_mail_server_gets_the_e_mail_for_everyone() -> None:
    """Sender, recipients and content."""
    with _mail_server([*ADDRESSED, b"250 taken\r\n", b"221 bye\r\n"]) as (url, heard):
        create_post(url).send(_message(), TO)
    said = b"".join(heard)
    assert b"mail FROM:<reports@example.com>" in said
    assert [line for line in heard if line.startswith(b"rcpt")] == [
        b"rcpt TO:<ops@example.com>\r\n",
        b"rcpt TO:<boss@example.com>\r\n",
    ]


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("answers", "error"),
    [([*GREETING, b"550 not from you\r\n", b"250 ok\r\n", b"221 bye\r\n"], NotSent), (ADDRESSED, MaybeSent)],
)
def test_a_mail_server_that_refuses_is_told_from_one_that_hangs_up(answers: list[bytes], error: type) -> None:
    """After the content was sent nobody knows."""
    with _mail_server(answers) as (url, _), pytest.raises(error):
        create_post(url).send(_message(), TO)


@pytest.mark.enable_socket
def test_no_mail_server_is_nothing_sent() -> None:
    """Nobody listens at that port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotSent):
        create_post(f"smtp://127.0.0.1:{port}").send(_message(), TO)


def test_an_unknown_scheme_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(ValueError, match="'pigeon' is not supported; use ses, smtp, file"):
        create_post("pigeon:home")
