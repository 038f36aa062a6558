"""`make kills`: kill -9 of each process of `make run`, and of all at once, at random moments of mailings.

After each mailing the ledger is compared with the sandbox gateway's own log: everyone got it, and a message that was
called more than once has an attempt in its row whose outcome was lost with a killed process. It prints its seed and
each moment.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from chalicelib.domain.messages import gateway_id_for
from infra.local.data_directory import DataDirectory
from tests.support.local_run import ApiCaller, LocalRun, local_runs
from tests.support.orders import add_clients, mailing, order

VICTIMS = ("emulator", "senders", "sandbox", "front", "service", "everything")
LEASE = 20.0  # seconds; as short as the timeouts let it be
SETTINGS = {
    "CLAIM_LEASE": f"{LEASE:g}",
    "ADMIN_PASSWORD": "for this run alone",
    "API_PROCESSES": "2",
    "SENDER_PROCESSES": "2",
}
_BOUND = 240.0  # seconds that one mailing may take


@dataclass(frozen=True, slots=True)
class Result:
    """One kill and the result of its mailing: seconds until the last call and the end, and messages called again."""

    victim: str
    called_before: int
    last_call: float
    seconds: float
    again: int
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        verdict = "; ".join(self.wrong) or "as promised"
        return (
            f"kill -9 {self.victim:<10} after {self.called_before:>5} calls: the last call {self.last_call:5.1f} s "
            f"later, finished {self.seconds:5.1f} s later, {self.again} called again, {verdict}"
        )


class Home:
    """A run that is killed and started again, on one data directory, with one log of the gateway."""

    def __init__(self, start: Callable[..., LocalRun], directory: Path) -> None:
        self._start = start
        self._log = directory / "gateway.log"
        self._log.touch()
        self.run = self._started()

    def _started(self) -> LocalRun:
        return self._start(SANDBOX_LOG=str(self._log), **SETTINGS).ready()

    def calls(self) -> Counter[int]:
        """How often each id was taken by the gateway, over all runs."""
        return Counter(int(line.split()[1]) for line in self._log.read_text().splitlines())

    def last_call(self) -> float:
        """When the gateway took the last one."""
        return max(float(line.split()[0]) for line in self._log.read_text().splitlines())

    def caller(self) -> ApiCaller:
        """Someone who is signed in, once the service lets them."""
        made: list[ApiCaller] = []

        def signed_in() -> bool:
            try:
                made.append(ApiCaller(self.run, SETTINGS["ADMIN_PASSWORD"]))
            except (AssertionError, requests.RequestException):
                return False
            return True

        assert _await(signed_in), "nobody can sign in"
        return made[0]

    def kill(self, victim: str) -> None:
        """Kill -9, and restart what does not restart itself."""
        service = psutil.Process(self.run.process.pid)
        emulator = psutil.Process(int(DataDirectory(self.run.data_dir).emulator_lock.holder()))
        children = [child for child in service.children() if child.pid != emulator.pid]
        chosen = {
            "emulator": [emulator],
            "senders": [child for child in children if "infra.local.senders" in child.cmdline()],
            "sandbox": [child for child in children if "infra.local.sandbox_gateway" in child.cmdline()],
            "front": [child for child in children if "infra.local.front" in child.cmdline()][:1],
            "service": [service],
            "everything": [service, emulator, *children],
        }[victim]
        assert chosen, f"no {victim}"
        for process in chosen:
            process.send_signal(signal.SIGKILL)
        if service in chosen:
            self.run.process.wait()
            self.run = self._started()


def kill_within(home: Home, victim: str, count: int, part: float) -> Result:
    """Send a mailing to so many people, kill when that part of them has been called, and look at what came of it."""
    before = home.calls().total()
    api = home.caller()
    mailing_id = order(api)
    _await(lambda: home.calls().total() - before >= part * count)
    called = home.calls().total() - before
    began = time.time()
    home.kill(victim)
    again = home.caller()
    ended = _await(lambda: _ended(again, mailing_id))
    seconds, last_call = time.time() - began, home.last_call() - began
    wrong = [] if ended else [f"not finished after {_BOUND:.0f} s: {mailing(again, mailing_id)['counts']}"]
    rows = again.rows("/api/messages/", mailing=mailing_id)
    calls = home.calls()
    times = {row["id"]: calls[gateway_id_for(row["id"])] for row in rows}
    if len(rows) != count:
        wrong.append(f"{len(rows)} rows for {count} people")
    if lost := sum(not taken for taken in times.values()):
        wrong.append(f"{lost} people never got it")
    if unsent := Counter(row["status"] for row in rows if row["status"] != "sent"):
        wrong.append(f"rows say {dict(unsent)}")
    for row in rows:
        unknown = sum(attempt["outcome"] == "unknown" for attempt in row["attempts"])
        if times[row["id"]] > 1 + unknown:
            wrong.append(f"{row['id']} was called {times[row['id']]} times, its row explains {1 + unknown}")
    return Result(victim, called, last_call, seconds, sum(taken > 1 for taken in times.values()), tuple(wrong[:5]))


def _ended(api: ApiCaller, mailing_id: str) -> bool:
    try:
        answer = api.request("GET", f"/api/mailing/{mailing_id}/")
    except requests.RequestException:
        return False
    return answer.status_code == 200 and answer.json()["status"] == "finished"


def _await(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _BOUND
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def kills(directory: Path, moments: int, count: int, seed: int, victims: tuple[str, ...] = VICTIMS) -> list[Result]:
    """So many kills, each in a mailing of its own to so many people; the victims take turns."""
    rng = random.Random(seed)
    results: list[Result] = []
    with local_runs(directory) as start:
        home = Home(start, directory)
        add_clients(home.run, count)
        for number in range(moments):
            victim = victims[number % len(victims)]
            results.append(kill_within(home, victim, count, rng.uniform(0.0, 0.9)))
            sys.stdout.write(f"{number + 1:>3} {results[-1]}\n")
            sys.stdout.flush()
        code, _, errors = home.run.end()
        assert (code, errors) == (0, "")
    return results


def main() -> int:
    """Exit code 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--people", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    given = parser.parse_args()
    sys.stdout.write(f"seed {given.seed}: {given.moments} kills, {given.people} people each\n")
    with tempfile.TemporaryDirectory() as directory:
        results = kills(Path(directory), given.moments, given.people, given.seed)
    broken = [result for result in results if result.wrong]
    sys.stdout.write(f"{len(results) - len(broken)} of {len(results)} as promised (seed {given.seed})\n")
    return 1 if broken else 0


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
