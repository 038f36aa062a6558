"""`make history ID=…`: everything about a mailing, a message or a client, from the ledger and the logs of DATA_DIR."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chalicelib.domain.reasons import Cause
from chalicelib.wording import reason_text
from infra.local.api_client import CallFailed, RunningService
from infra.local.data_directory import DataDirectory
from infra.local.logs import kept

_USUAL = {"level", "location", "message", "timestamp", "service", "function", "request_id", "exception", "stack_trace"}
_IDS = ("mailing_id", "message_id", "client_id")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened, as a person reads it. `about` names the message if it is about one."""

    at: datetime
    what: str
    about: str = ""
    detail: str = ""

    def text(self) -> str:
        moment = self.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return "  ".join(part for part in (moment, f"{self.what:<22}", self.about, self.detail) if part).rstrip()


def run(environ: Mapping[str, str], about: str) -> tuple[list[Line], str]:
    """The lines, the earliest first, and notes for a person. Raises CallFailed if there are none."""
    directory = DataDirectory(environ.get("DATA_DIR") or ".local", make=False)
    logged = list(log_lines(directory.path, about))
    try:
        found = RunningService.found(environ, "history").call("GET", f"/api/history/{about}")
    except CallFailed as error:
        if not logged:
            raise
        return sorted(logged, key=lambda line: line.at), f"from the log alone: {error}"
    known = [_event_line(event) for event in found["events"]]
    # What is in both is shown once: an attempt has the same moment in the ledger and in the log.
    present = {(line.at, line.about) for line in known}
    lines = known + [line for line in logged if not line.about or (line.at, line.about) not in present]
    note = (
        ""
        if found["complete"]
        else "only some messages of the ledger are shown; the log has what else it was told to have (LOG_ACCEPTED)"
    )
    return sorted(lines, key=lambda line: line.at), note


def _event_line(event: Mapping[str, Any]) -> Line:
    number, outcome, status = event["number"], event["outcome"], event["status"]
    what = f"{event['what']} {number}" if number else event["what"]
    parts = [outcome, status, _duration(event["duration_ms"]), _http(event["http_status"]), event["reason"]]
    parts += [f"until {event['until']}" if event["until"] else None, f"by {event['by']}" if event["by"] else None]
    return Line(datetime.fromisoformat(event["at"]), what, event["message"] or "", _joined(parts))


# -- the log


def log_lines(directory: Path, about: str) -> Iterator[Line]:
    """The lines about an id in the log files."""
    for path in kept(directory / "service.log"):
        with path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                if about in text and text.startswith("{"):
                    yield from _record_lines(text, about)


def _record_lines(text: str, about: str) -> Iterator[Line]:
    try:
        record = json.loads(text)
        at = datetime.fromisoformat(record["timestamp"])
    except (ValueError, KeyError):
        return  # cut off in the middle, or no record of ours
    messages = record.get("messages", [])
    if messages:
        for entry in messages:
            if about in (record["mailing_id"], entry["message_id"], entry["client_id"]):
                yield _message_line(at, entry)
        unnamed = record.get("accepted", 0) - sum(entry["status"] == "sent" for entry in messages)
        if about == record["mailing_id"] and unnamed:
            yield Line(at, "messages accepted", "", str(unnamed))
    elif record["message"] == "request":
        asked = f"{record['method']} {record['route']}"
        by = f"by {record['username']}" if "username" in record else None
        yield Line(at, "request", "", _joined([asked, str(record["status"]), _duration(record["duration_ms"]), by]))
    else:
        rest = {name: value for name, value in record.items() if name not in _USUAL and name not in _IDS}
        detail = ", ".join(f"{name} {value}" for name, value in rest.items())
        yield Line(at, record["message"], record.get("message_id", ""), detail)


def _message_line(written_at: datetime, entry: Mapping[str, Any]) -> Line:
    """One message of a batch: an attempt, or a change of its status without one."""
    if "attempt" not in entry:
        until = f"until {entry['due_at']}" if "due_at" in entry else None
        detail = _joined([entry["status"], _reason(entry), until])
        return Line(written_at, "message", entry["message_id"], detail)
    parts = [entry["outcome"], _duration(entry["duration_ms"]), _http(entry.get("http_status")), _reason(entry)]
    at = datetime.fromisoformat(entry["at"])
    return Line(at, f"attempt {entry['attempt']}", entry["message_id"], _joined(parts))


def _reason(entry: Mapping[str, Any]) -> str:
    return reason_text(Cause.parse(":".join(part for part in (entry.get("reason"), entry.get("detail")) if part)))


def _duration(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else f"{milliseconds} ms"


def _http(status: int | None) -> str | None:
    return None if status is None else f"HTTP {status}"


def _joined(parts: list[str | None]) -> str:
    """The parts that are there, each once."""
    return "  ".join(dict.fromkeys(part for part in parts if part))


def main() -> int:
    """Returns 0 if something is known about the id."""
    parser = argparse.ArgumentParser(prog="history", description=__doc__)
    parser.add_argument("id", help="the id of a mailing, a message or a client")
    given = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # no traceback if the output is cut, such as by `head`
    try:
        lines, note = run(os.environ, given.id)
    except CallFailed as error:
        sys.stderr.write(f"history: {error}\n")
        return 1
    sys.stdout.writelines(line.text() + "\n" for line in lines)
    if note:
        sys.stderr.write(f"history: {note}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
