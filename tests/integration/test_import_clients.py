"""`make import` against the real API: parts, progress, a report of what was rejected, and exit codes."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from chalicelib.queues import Unit
from infra.local import import_clients
from infra.local.api_client import CallFailed
from infra.local.data_directory import DataDirectory, read_json, write_private
from infra.local.loopback import listen
from infra.local.web_server import WebServer
from tests.factories import MailingBodyFactory
from tests.support.api import PASSWORD, Api, new_api
from tests.support.workbooks import workbook

pytestmark = pytest.mark.enable_socket
HEADER = "phone_number;tag\r\n"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A service whose dispatcher works between two requests, with the file that `make run` writes."""
    monkeypatch.setattr(import_clients, "_POLL", 0)
    with new_api() as api:

        def application(environ: dict[str, Any], start_response: Any) -> Any:
            for unit in api.queued_units():
                api.services.dispatcher.handle(Unit(**unit), api.clock.now() + timedelta(minutes=1))
            api.pass_time(seconds=1)
            return api.front(environ, start_response)

        server = WebServer(application, listen(0), 1)
        server.start()
        directory = DataDirectory(tmp_path)
        write_private(directory.service_file, {"url": f"http://127.0.0.1:{server.port}", "username": "admin"})
        write_private(directory.admin_file, {"username": "admin", "password": PASSWORD})
        yield api
        server.stop()


def _run(tmp_path: Path, text: str, report: Path | None = None, **environ: str) -> tuple[bool, str]:
    file = tmp_path / "clients.csv"
    file.write_text(text, "utf-8", newline="")
    output = io.StringIO()
    complete = import_clients.run(Console(file=output, width=200), {"DATA_DIR": str(tmp_path), **environ}, file, report)
    return complete, output.getvalue()


def test_a_file_is_imported_with_a_bar_and_a_summary(api: Api, tmp_path: Path) -> None:
    """Expects all rows to be imported, and a second run to change nothing."""
    text = "\ufeff" + HEADER + "".join(f"+7916{n:07d};vip\r\n" for n in range(50))
    complete, output = _run(tmp_path, text)
    assert complete
    assert "50/50" in output
    assert "50 created, 0 changed, 0 unchanged, 0 rejected" in output
    assert "0 created, 0 changed, 50 unchanged, 0 rejected" in _run(tmp_path, text)[1]
    assert api.get("/api/clients", query={"tag": "vip"}).json["total"] == 50


def test_a_large_file_is_sent_in_parts_with_its_own_row_numbers(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expects every rejected row with its number in the whole file, on the screen and in the report."""
    monkeypatch.setattr(import_clients, "ROWS_AT_ONCE", 10)
    rows = [f"+7916{n:07d};vip" for n in range(45)]
    rows[3], rows[17], rows[44] = "1;vip", '+79160000099;"two\nlines"', "2;vip"
    complete, output = _run(tmp_path, "\r\n" + HEADER + "\r\n".join(rows), tmp_path / "report.csv")
    assert not complete
    assert "42 created, 0 changed, 0 unchanged, 3 rejected, 0 opted out" in output
    assert "row 6: phone_number" in output
    found = list(csv.reader((tmp_path / "report.csv").read_text("utf-8").splitlines()))
    assert [(row[0], row[1]) for row in found[1:]] == [("6", "phone_number"), ("20", "tag"), ("47", "phone_number")]


def test_a_quotation_mark_that_is_never_closed_loses_no_other_row(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expects its row to be named with the lines that were not read, and all others to be imported with their
    numbers."""
    monkeypatch.setattr(import_clients, "ROWS_AT_ONCE", 2)
    rows = ["+79160000001;a", '+79160000002;"b', "+79160000003;c", '+79160000004;"d"', "+79160000005;e", "12;f"]
    complete, output = _run(tmp_path, HEADER + "\n".join(rows), tmp_path / "report.csv")
    assert not complete
    assert "2 created, 0 changed, 0 unchanged, 2 rejected" in output
    assert "row 3: row has a quotation mark that is never closed, so 2 lines after it were not read" in output
    found = list(csv.reader((tmp_path / "report.csv").read_text("utf-8").splitlines()))
    assert [row[0] for row in found[1:]] == ["3", "5"]


def test_an_interrupted_import_can_be_continued(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects the error to say how, only missing parts to be sent, and all rows to be counted once."""
    monkeypatch.setattr(import_clients, "ROWS_AT_ONCE", 2)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    file = tmp_path / "clients.csv"
    file.write_text(HEADER + "".join(f"+7916000000{n};vip\n" for n in range(5)), "utf-8")
    usual, sent = import_clients.Service.start, []

    def cut_off(self: import_clients.Service, text: str, query: dict[str, Any]) -> dict[str, Any]:
        sent.append(query["row_offset"])
        if len(sent) == 2:
            raise CallFailed("the connection broke")
        return usual(self, text, query)

    monkeypatch.setattr(import_clients.Service, "start", cut_off)
    with pytest.raises(CallFailed, match="--continue ") as caught:
        import_clients.run(Console(file=io.StringIO()), {"DATA_DIR": str(tmp_path)}, file)
    begun = str(caught.value).rpartition(" ")[2]
    assert api.get(f"/api/clients/imports/{begun}").json["status"] == "incomplete"
    assert import_clients.main([str(file), "--continue", begun]) == 0
    assert sent == [0, 2, 2, 4]
    found = api.get(f"/api/clients/imports/{begun}").json
    assert [found[name] for name in ("status", "rows", "created")] == ["finished", 5, 5]
    other = tmp_path / "other.csv"
    other.write_text(HEADER + "+79160000009;vip\n", "utf-8")
    assert import_clients.main([str(other), "--continue", begun]) == 2


def test_many_rejected_rows_do_not_flood_the_screen(api: Api, tmp_path: Path) -> None:
    """Expects the first of them, and how to get the others."""
    output = _run(tmp_path, HEADER + "1;x\r\n" * 300)[1]
    assert output.count("row ") == 20
    assert "280 more" in output


@pytest.mark.parametrize("text", ["", "tag\r\nvip\r\n"])
def test_a_file_without_clients_is_reported_in_one_line(api: Api, tmp_path: Path, text: str) -> None:
    """Expects the service's own words about the header."""
    with pytest.raises(CallFailed, match=r"422 header .*column"):
        _run(tmp_path, text)


def test_exit_codes_distinguish_success_rejections_and_failure(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Expects 0, 1 and 2, the last with one line that says why."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    file = tmp_path / "clients.csv"
    file.write_text(HEADER + "+79160000001;vip\n")
    assert import_clients.main([str(file)]) == 0
    file.write_text(HEADER + "1;vip\n")
    assert import_clients.main([str(file)]) == 1
    assert import_clients.main([str(tmp_path / "missing.csv")]) == 2
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "nothing"))
    assert import_clients.main([str(file)]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_another_service_is_named_by_the_environment(api: Api, tmp_path: Path) -> None:
    """Expects API_URL and API_TOKEN to be enough for a deployed stage."""
    url = read_json(DataDirectory(tmp_path).service_file)["url"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert _run(elsewhere, HEADER + "+79160000001;vip\n", API_URL=url + "/", API_TOKEN=api.token)[0]
    with pytest.raises(CallFailed, match="401"):
        _run(elsewhere, HEADER + "+79160000001;vip\n", API_URL=url, API_TOKEN="wrong")


def test_numbers_for_one_mailing_stay_out_of_the_directory(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Expects the named sheet to be read, no new client, and how to name the file in a mailing."""
    file = tmp_path / "list.xlsx"
    file.write_bytes(workbook([["Old"]], more={"New": [["Mobile", "Code"], [79161234567.0, "A7"]]}))
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert import_clients.main([str(file), "--sheet", "New", "--for-mailing"]) == 0
    said = re.search('"clients": ({.*?})', capsys.readouterr().out)
    assert said
    mailing = api.post("/api/mailing", MailingBodyFactory(clients=json.loads(said[1])))
    assert mailing.status == 201, mailing.text
    assert api.get("/api/clients").json["total"] == 0
