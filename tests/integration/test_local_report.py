"""`make report` against the real API: it says what was sent, and why nothing was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from infra.local import report
from infra.local.api_client import CallFailed
from infra.local.data_directory import DataDirectory, write_private
from infra.local.loopback import listen
from infra.local.web_server import WebServer
from tests.factories import MailingBodyFactory
from tests.support.api import PASSWORD, Api, new_api

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Api]:
    """A service with the file that `make run` writes."""
    directory = DataDirectory(tmp_path)
    mail_url = directory.reports.as_uri()
    with new_api(report_to="operator@localhost", report_from="reports@localhost", mail_url=mail_url) as api:
        server = WebServer(api.front, listen(0), 1)
        server.start()
        write_private(directory.service_file, {"url": f"http://127.0.0.1:{server.port}", "username": "admin"})
        write_private(directory.admin_file, {"username": "admin", "password": PASSWORD})
        yield api
        server.stop()


@pytest.mark.usefixtures("service")
def test_the_file_of_a_report_is_named(tmp_path: Path) -> None:
    """Of today's report, and of another day's."""
    for given, day in (("", "2026-03-02"), ("2026-02-28", "2026-02-28")):
        said = report.run({"DATA_DIR": str(tmp_path)}, given)
        (file,) = (tmp_path / "reports").glob(f"daily-{day}-*.eml")
        assert said == f"{day}: 0 mailings, 0 messages sent; the report went to operator@localhost ({file})"


def test_one_mailing_is_reported_in_the_singular(service: Api, tmp_path: Path) -> None:
    """As it is in the e-mail."""
    assert service.post("/api/mailing", MailingBodyFactory(starts_in=timedelta(hours=1))).status == 201
    assert report.run({"DATA_DIR": str(tmp_path)}, "").startswith("2026-03-02: 1 mailing, 0 messages sent; ")


@pytest.mark.usefixtures("service")
def test_an_invalid_day_is_reported(tmp_path: Path) -> None:
    """In the service's words."""
    with pytest.raises(CallFailed, match=r"422 day must be a date"):
        report.run({"DATA_DIR": str(tmp_path)}, "tomorrow")


def test_a_service_that_is_not_running_is_reported(tmp_path: Path) -> None:
    """Expects what to do."""
    with pytest.raises(CallFailed, match=r"start `make run`"):
        report.run({"DATA_DIR": str(tmp_path)}, "")
