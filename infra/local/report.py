"""`make report DAY=…`: has the running service send a day's report now."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping

from infra.local.api_client import CallFailed, RunningService
from infra.local.data_directory import DataDirectory

_TOLD = (("mailings", "mailing"), ("sent", "message"))


def run(environ: Mapping[str, str], day: str) -> str:
    """Send the report and print the result. Raises CallFailed if it was not sent."""
    sent = RunningService.found(environ, "report").call("POST", "/api/reports/daily", json={"day": day or None})
    mailings, messages = ("1 " + name if sent[key] == 1 else f"{sent[key]} {name}s" for key, name in _TOLD)
    about = f"{sent['day']}: {mailings}, {messages} sent"
    files = sorted(
        DataDirectory(environ.get("DATA_DIR") or ".local", make=False).reports.glob(f"daily-{sent['day']}-*.eml")
    )
    where = f" ({files[-1]})" if files and not environ.get("API_URL") else ""
    return f"{about}; the report went to {', '.join(sent['recipients'])}{where}"


def main() -> int:
    """Returns 0 if the report was sent."""
    parser = argparse.ArgumentParser(prog="report", description=__doc__)
    parser.add_argument("day", nargs="?", default="", help="a date such as 2026-03-02; by default today so far")
    given = parser.parse_args()
    try:
        sys.stdout.write(run(os.environ, given.day) + "\n")
    except CallFailed as error:
        sys.stderr.write(f"report: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
