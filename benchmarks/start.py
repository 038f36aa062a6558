"""How long `make run` takes to get ready, with and without data, and how long the tests take."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.main_job import ROOT, make_run
from benchmarks.progress import say

# What make echoes, and what pytest says at the end.
_COMMAND = re.compile(r"^\S*pytest .*?(tests/.*)$")
_SUMMARY = re.compile(r"^=+ (?P<counts>.*\b(?P<passed>\d+) passed.*) in (?P<seconds>[\d.]+)s")

Tests = tuple[str, int, float]  # directories, how many passed, seconds


def until_ready(data_dir: Path) -> float:
    """Seconds from the command to "Ready"; the service is ended again."""
    began = time.monotonic()
    with make_run(data_dir):
        return time.monotonic() - began


def test_times() -> list[Tests]:
    """Run `make test`.

    Returns the time of each group of tests, as pytest prints it. Raises RuntimeError if one fails.
    """
    command = ["make", "--no-print-directory", "test"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        found = []
        for one in told_times(process.stdout or ()):
            say(f"{one[0]}: {one[1]} passed in {one[2]:.0f} s")
            found.append(one)
    if process.returncode:
        raise RuntimeError(f"the tests fail: exit code {process.returncode}")
    return found


def told_times(lines: Iterable[str]) -> Iterable[Tests]:
    """The times in what `make test` prints."""
    where = ""
    for line in lines:
        if command := _COMMAND.match(line.strip()):
            where = command[1]
        elif summary := _SUMMARY.match(line):
            yield where, int(summary["passed"]), float(summary["seconds"])
