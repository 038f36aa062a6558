"""The environment that a local run gives to the service: what its owner has set stays."""

from __future__ import annotations

from pathlib import Path

from chalicelib.config import Settings
from infra.local.environment import report_into_files


def test_reports_stay_on_this_machine(tmp_path: Path) -> None:
    """In files, addressed to nobody outside; blank settings count as absent."""
    environ = {"REPORT_TO": " "}
    report_into_files(environ, tmp_path)
    settings = Settings.from_environment(environ)
    assert settings.mail_url == tmp_path.as_uri()
    assert [address.rpartition("@")[2] for address in (*settings.report_recipients, settings.report_from)] == [
        "localhost",
        "localhost",
    ]


def test_a_mail_server_of_the_owner_is_used(tmp_path: Path) -> None:
    """And so are the addresses."""
    given = {"MAIL_URL": "smtp://127.0.0.1:1025", "REPORT_TO": "a@example.com", "REPORT_FROM": "b@example.com"}
    environ = dict(given)
    report_into_files(environ, tmp_path)
    assert environ == given
