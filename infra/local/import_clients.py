"""`make import FILE=…`: imports a file into the running service, part by part, with a report."""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from chalicelib.domain.csv_cells import guarded
from chalicelib.domain.csv_rows import rows_of, separator_of
from chalicelib.domain.errors import Invalid
from chalicelib.domain.file_texts import text_of
from chalicelib.domain.json_rows import is_json_lines
from infra.local.api_client import CallFailed, RunningService

ROWS_AT_ONCE = 50_000
BYTES_AT_ONCE = 4_000_000  # below what the API takes at once, which is 5 MB
JSON_LINES_AT_ONCE = 5_000  # of which each may have some hundred bytes
_SHOWN = 20  # rejected rows that are shown without a report
_POLL = 0.3
_BOUND = 900.0  # seconds that one part may take
_OUTCOMES = ("created", "changed", "unchanged", "rejected", "opted_out", "opted_in_again")


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of a file, with its header. Adding `offset` to a row's number gives its number in the file."""

    text: str
    rows: int
    offset: int


def parts_of(text: str, unread: list[dict[str, Any]] | None = None) -> Iterator[Part]:
    """The file in parts that the API accepts. A row with several lines is not divided.

    Rows that cannot be read are added to `unread`, in the form of the API's rejected rows, and are empty in their part.
    """
    if is_json_lines(text):
        yield from _parts_of_json_lines(text)
        return
    delimiter = separator_of(text)
    lines = iter(_rows(text, delimiter, [] if unread is None else unread))
    header_at, header = next(((number, cells) for number, cells in lines if any(map(str.strip, cells))), (1, []))
    first = header_at + 1
    while rows := list(_some(lines)):
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
        yield Part(buffer.getvalue(), len(rows), first - 2)
        first += len(rows)
    if first == header_at + 1:
        yield Part(text, 0, 0)


def _parts_of_json_lines(text: str) -> Iterator[Part]:
    lines = text.splitlines(keepends=True)
    for start in range(0, len(lines), JSON_LINES_AT_ONCE):
        some = lines[start : start + JSON_LINES_AT_ONCE]
        yield Part("".join(some), len(some), start)


def _rows(text: str, delimiter: str, unread: list[dict[str, Any]]) -> Iterator[tuple[int, list[str]]]:
    """The rows with their numbers. An unreadable row has no cells, so that the others keep their numbers."""
    for number, cells in rows_of(text, delimiter):
        if isinstance(cells, list):
            yield number, cells
        else:
            unread.append({"row": number, "field": cells.field, "value": "", "message": cells.message})
            yield number, []


def _some(lines: Iterator[tuple[int, list[str]]]) -> Iterator[list[str]]:
    size = 0
    for _, cells in islice(lines, ROWS_AT_ONCE):
        yield cells
        size += sum(len(cell.encode()) + 3 for cell in cells) + 2
        if size > BYTES_AT_ONCE:
            return


class Service(RunningService):
    """The REST API, as the import needs it."""

    def start(self, text: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """Upload a part."""
        headers = {"Content-Type": "text/csv; charset=utf-8"}
        return self.call("POST", "/api/clients/imports", params=dict(query), data=text.encode(), headers=headers)

    def progress(self, import_id: str) -> dict[str, Any]:
        """The progress of a part."""
        return self.call("GET", f"/api/clients/imports/{import_id}")

    def rejected(self, import_id: str) -> Iterator[dict[str, Any]]:
        """All errors in a file, given the import of its first part."""
        query: dict[str, Any] = {"limit": 200}
        while True:
            page = self.call("GET", f"/api/clients/imports/{import_id}/rejected", params=query)
            yield from page["rows"]
            if not page["next"]:
                return
            query["cursor"] = page["next"]


def run(
    console: Console,
    environ: Mapping[str, str],
    file: Path,
    report: Path | None = None,
    options: Mapping[str, str] | None = None,
    begun: str = "",
    sheet: str = "",
) -> bool:
    """Import a file, or the missing parts of one that has `begun`. Returns whether every row was good.

    `sheet` is for a workbook. Raises CallFailed if it cannot continue; what was done so far is kept.
    """
    try:
        unread: list[dict[str, Any]] = []
        parts = list(parts_of(text_of(file.read_bytes(), sheet=sheet).text, unread))
    except (OSError, Invalid) as error:
        raise CallFailed(f"{file}: {error}") from error
    service = Service.found(environ, "import")
    began = time.monotonic()
    columns = (TextColumn("imported"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("imported", total=sum(part.rows for part in parts))
        first = begun
        for part in parts[_received(service, begun, len(parts)) :]:
            place = {"file_name": file.name[-200:], "part_of": first, "row_offset": part.offset, "parts": len(parts)}
            try:
                started = service.start(part.text, {**(options or {}), **place})
            except CallFailed as error:
                hint = f"; the rows so far are imported, go on with --continue {first}" if first else ""
                raise CallFailed(f"{error}{hint}") from error
            first = first or started["id"]
        ended = _finished(service, first, len(parts) * _BOUND, _shown(progress, task))
    errors = sorted([*service.rejected(first), *unread], key=lambda error: int(error["row"]))
    ended["rejected"] += len(unread)
    counts = ", ".join(f"{ended[name]} {name.replace('_', ' ')}" for name in _OUTCOMES)
    console.print(f"{file.name}: {counts}, {time.monotonic() - began:.1f} s", soft_wrap=True)
    if (options or {}).get("for_mailing") == "true":
        console.print(f'The mailing for these numbers says "clients": {{"recipients": "{first}"}}', soft_wrap=True)
    _tell(console, errors, report)
    return not errors


def _received(service: Service, import_id: str, parts: int) -> int:
    """How many parts an import has. Raises CallFailed if it is of another file."""
    if not import_id:
        return 0
    at = service.progress(import_id)
    if at["parts"] != parts:
        raise CallFailed(f"import {import_id} is of a file with {at['parts']} parts, and this one has {parts}")
    return int(at["parts_received"])


def _shown(progress: Progress, task: TaskID) -> Callable[[int], None]:
    return lambda done: progress.update(task, completed=done)


def _finished(service: Service, import_id: str, bound: float, show: Callable[[int], None]) -> dict[str, Any]:
    """Wait until all parts of the file are written, and return them. Raises CallFailed after `bound` seconds."""
    deadline = time.monotonic() + bound
    while True:
        at = service.progress(import_id)
        show(at["done"] + at["rejected"])
        if at["status"] == "finished":
            return at
        if time.monotonic() > deadline:
            raise CallFailed(
                f"import {import_id} has not finished within {bound:.0f} s; it continues in the background"
            )
        time.sleep(_POLL)


def _tell(console: Console, errors: list[dict[str, Any]], report: Path | None) -> None:
    if report is not None:
        with report.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("row", "field", "value", "message"))
            writer.writerows((one["row"], one["field"], guarded(one["value"]), one["message"]) for one in errors)
    for one in errors[:_SHOWN]:
        console.print(f"row {one['row']}: {one['field']} {one['message']}", soft_wrap=True, markup=False)
    if len(errors) > _SHOWN:
        where = f"all are in {report}" if report else "use --report FILE to write all of them to a file"
        console.print(f"... and {len(errors) - _SHOWN} more; {where}", soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 if every row was imported, 1 if some were rejected, 2 if the import could not continue."""
    parser = argparse.ArgumentParser(prog="import_clients", description=__doc__)
    parser.add_argument("file", type=Path, help="CSV with a header, JSON lines, or an Excel workbook")
    parser.add_argument("--sheet", default="", help="of a workbook; the first one that is not hidden if it is absent")
    parser.add_argument("--report", type=Path, help="a CSV file to write all rejected rows and fields to")
    parser.add_argument(
        "--mode", choices=("update", "replace"), default="update", help="what happens to fields without a value"
    )
    parser.add_argument("--allow-opt-in", action="store_true", help="let opted_out=false opt people in again")
    parser.add_argument("--country", default="", help="of numbers without a country code, such as DE")
    parser.add_argument(
        "--add-tag", default="", help="that everybody in the file gets, besides the tags that they have"
    )
    parser.add_argument(
        "--for-mailing", action="store_true", help="the numbers are for one mailing only; the directory stays as it is"
    )
    parser.add_argument("--continue", dest="begun", default="", metavar="ID", help="go on with an interrupted import")
    given = parser.parse_args(arguments)
    options = {
        "mode": given.mode,
        "allow_opt_in": str(given.allow_opt_in).lower(),
        "country": given.country,
        "add_tag": given.add_tag,
        "for_mailing": str(given.for_mailing).lower(),
    }
    console = Console(highlight=False)
    try:
        return 0 if run(console, os.environ, given.file, given.report, options, given.begun, given.sheet) else 1
    except CallFailed as error:
        sys.stderr.write(f"import: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
