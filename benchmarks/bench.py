"""`make bench`: measures everything in docs/performance.md, part by part, and writes the results.

Figures are medians of several runs, with minimum and maximum. Things that are compared are measured in turns, so that
other work on the machine affects both. For each part it writes DIRECTORY/<part>.json and <part>.md, with plots.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import (
    api,
    api_peer,
    cold_start,
    cost,
    cpu,
    gateway,
    growth,
    mailing,
    main_job,
    peer,
    plots,
    punctuality,
    receipts,
    sending_walls,
    start,
    walls,
)
from benchmarks.figures import Figure, figures, percentile, table
from benchmarks.progress import say

_SENT = ("per_second", "first_message_s", "own_cpu_ms", "emulator_cpu_ms")
_IMAGES = main_job.ROOT / "docs" / "images"
_LARGEST_API = 100_000  # clients whom the emulator can hold
_THEIRS = ("messages_per_second", "first_message_s", "cpu_ms_per_message_own", "cpu_ms_per_message_engines")


@dataclass(frozen=True, slots=True)
class Options:
    """How much to measure: how many `runs` of each, and to how many clients."""

    runs: int
    messages: int
    latencies: tuple[float, ...]
    sizes: tuple[int, ...]
    directory: Path
    short: bool
    seed: int = 1
    tests: bool = False
    fastest: bool = False


Part = tuple[Any, str]  # the results, and a text in Markdown


def job(options: Options) -> Part:
    """The main job here, in turns with the peer's if there is a peer."""
    why_not = peer.missing()
    if why_not:
        say(f"without the peer: {why_not}")
    runs: dict[str, list[dict[str, Any]]] = {}
    calls: dict[str, dict[str, float]] = {}
    with ExitStack() as stack:
        target = stack.enter_context(gateway.running())
        other = None
        if not why_not:
            other = stack.enter_context(peer.running(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        for number in range(options.runs):
            for latency in options.latencies:
                sent, calls = _ours(target, latency, options.messages)
                runs.setdefault(f"{latency:g} ms, here", []).append(dataclasses.asdict(sent))
                say(f"run {number + 1}, {latency:g} ms: {sent.per_second:.0f} messages/s")
                for name, line in _theirs(other, target, latency, options):
                    rate = f"{line['messages_per_second']:.0f} messages/s" if line else "did not come to an end"
                    say(f"run {number + 1}, {latency:g} ms, {name}: {rate}")
                    if line:
                        runs.setdefault(f"{latency:g} ms, {name}", []).append(line)
    found = {"runs": runs, "emulator_calls": calls, "peer": why_not or "measured"}
    return found, f"{_table_of_jobs(runs)}\n\n{_table_of_calls(calls, options.messages)}"


def _ours(target: gateway.Gateway, latency: float, count: int) -> tuple[main_job.Sent, dict[str, dict[str, float]]]:
    with tempfile.TemporaryDirectory() as directory:
        told = Path(directory) / "calls.json"
        with main_job.running(target.url, Path(directory), EMULATOR_CALLS_FILE=str(told)) as stack:
            stack.add_clients(count)
            sent = main_job.send(stack, target, latency, count)
            if sent.unfinished or sent.duplicates or sent.accepted != count:
                raise RuntimeError(f"a promise is broken: {sent}")
        return sent, json.loads(told.read_text(encoding="utf-8"))


def _theirs(
    other: peer.Peer | None, target: gateway.Gateway, latency: float, options: Options
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    if other is None:
        return
    kinds = [peer.FASTEST] if options.fastest else itertools.product(peer.POOLS, peer.WORKERS)
    for pool, workers in kinds:
        yield f"peer ({workers} x {pool})", other.send(target, latency, options.messages, pool, workers)


def _table_of_jobs(runs: dict[str, list[dict[str, Any]]]) -> str:
    rows = []
    for name, lines in runs.items():
        found = figures(lines, _SENT if "per_second" in lines[0] else _THEIRS)
        rate, first, own, engines = found.values()
        rows.append((name, rate.shown(), first.shown(2), own.shown(2), engines.shown(2)))
    head = ("gateway, who", "messages/s", "first message, s", "own CPU, ms a message", "emulator or engines, ms")
    return table(head, rows)


def _table_of_calls(calls: dict[str, dict[str, float]], count: int) -> str:
    """A table of calls in the last run, including those that make the clients."""
    rows = [
        (
            name,
            f"{line['calls']:.0f}",
            f"{1000 * line['seconds'] / max(1, line['calls']):.2f}",
            f"{1000 * line['seconds'] / count:.3f}",
        )
        for name, line in sorted(calls.items(), key=lambda one: -one[1]["seconds"])[:10]
    ]
    return table(("emulator's call", "calls", "ms each", "ms a message"), rows)


def processor(options: Options) -> Part:
    """CPU time in dispatch and delivery."""
    cpu.silence()
    with gateway.running() as target:
        runs = []
        for number in range(options.runs):
            runs.append(dataclasses.asdict(cpu.measure(options.messages, target.url)))
            say(f"run {number + 1}: {runs[-1]}")
    found = figures(runs, ("dispatch", "delivery"))
    rows = [(name, figure.shown(3)) for name, figure in found.items()]
    return runs, table(("CPU", "ms a message"), rows)


@cache
def _mailing_to(size: int) -> mailing.Measured:
    """A measured mailing, shared by two parts."""
    say(f"a mailing to {size:,} clients")
    return mailing.run(size)


def money(options: Options) -> Part:
    """The bill of AWS by size."""
    mailing.quiet()
    measured = {size: _mailing_to(size) for size in options.sizes}
    texts = {f"{size}": cost.report(one) for size, one in measured.items()}
    details = "\n\n".join(f"```\n{text}\n```" for text in texts.values())
    return texts, f"{cost.summary(list(measured.values()))}\n\n{details}"


def growing(options: Options) -> Part:
    """Calls and read units by the number of clients, with plots in docs/images, unless it is a quick run."""
    mailing.quiet()
    found: dict[int, dict[str, growth.Work]] = {}
    for size in options.sizes:
        found[size] = growth.of_a_mailing(_mailing_to(size))
        if size <= _LARGEST_API:
            say(f"the API with {size:,} clients")
            found[size] |= growth.of_the_api(size)
        say(f"{size:,} clients done")
    for path in plots.write(found, options.directory if options.short else _IMAGES):
        say(f"drawn: {path}")
    plain = {size: {name: dataclasses.asdict(work) for name, work in works.items()} for size, works in found.items()}
    return plain, growth.report(found)


def requests_of_the_api(options: Options) -> Part:
    """The ten main calls, four of them in turns with the API's peer if there is one."""
    why_not = api_peer.missing()
    if why_not:
        say(f"without the peer: {why_not}")
    count = 80 if options.short else 400
    runs: dict[str, list[dict[str, float]]] = {}
    theirs: dict[str, list[dict[str, float]]] = {}
    with ExitStack() as held:
        directories = [Path(held.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        stack = held.enter_context(main_job.running("", directories[0], GATEWAY="sandbox"))
        stack.add_clients(options.messages)
        mailing_id = main_job.sent_mailing(stack, options.messages)
        other = None if why_not else held.enter_context(api_peer.running(directories[1]))
        for number in range(options.runs):
            their_calls = other.calls() if other else {}
            for name, make in api.calls(stack, mailing_id).items():
                runs.setdefault(name, []).append(api.of_stack(stack, make, count))
                if other and name in their_calls:
                    theirs.setdefault(name, []).append(api_peer.measure(other, their_calls[name], count))
            say(f"run {number + 1} done")
    return {"here": runs, "peer": theirs or why_not}, api.report(runs, theirs)


def punctual(options: Options) -> Part:
    """Lateness of mailings that start at random moments."""
    count, spread = (20, timedelta(seconds=40)) if options.short else (100, timedelta(minutes=3))
    say(f"{count} mailings within {spread}, seed {options.seed}")
    with (
        gateway.running() as target,
        tempfile.TemporaryDirectory() as directory,
        main_job.running(target.url, Path(directory)) as stack,
    ):
        late = punctuality.measure(stack, target, count, spread, options.seed)
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    found = {name: round(percentile(late, share), 3) for name, share in shares.items()} | {"most": round(max(late), 3)}
    head = ("mailings", "seed", *(f"{name}, s" for name in found))
    return {"late_s": late, **found}, table(head, [(str(count), str(options.seed), *map(str, found.values()))])


def starting(options: Options) -> Part:
    """`make run` until it is ready, what each function imports, and with --tests how long the tests take."""
    first, again = [], []
    for number in range(options.runs):
        with tempfile.TemporaryDirectory() as directory:
            first.append(start.until_ready(Path(directory)))
            again.append(start.until_ready(Path(directory)))
        say(f"run {number + 1}: {first[-1]:.1f} s, then {again[-1]:.1f} s")
    rows = [("from nothing", Figure.of(first).shown(1)), ("with its data", Figure.of(again).shown(1))]
    looks = 3 if options.short else cold_start.LOOKS
    cold = {}
    for name in cold_start.FUNCTIONS:
        cold[name] = cold_start.measure(name, looks)
        say(f"{name}: {cold[name].import_ms:.0f} ms")
    tests = start.test_times() if options.tests else []
    found = {"first": first, "again": again, "cold": {name: dataclasses.asdict(one) for name, one in cold.items()}}
    texts = [table(("`make run` until Ready", "s"), rows), cold_start.report(cold)]
    if tests:
        texts.append(
            table(("`make test`", "tests", "s"), [(name, str(passed), f"{s:.0f}") for name, passed, s in tests])
        )
    return found | {"tests": tests}, "\n\n".join(texts)


def at_once(options: Options) -> Part:
    """Many mailings at once, on a simulated clock."""
    mailing.quiet()
    found = {"checks": walls.checks(1000 if options.short else walls.MANY)}
    for name, idle, many, each in (
        ("feeding alone", 0, 1, 20_000),
        ("beside idle ones", 1000, 1, 20_000),
        ("feeding ten", 0, 10, 2000),
        ("feeding a hundred small ones", 0, 100, 200),
        ("feeding thirty", 0, 30, 700),
    ):
        short = 10 if options.short else 1
        found[name] = walls.feeding(idle // short, each * many // short, many)
    for slow, many in ((0, 4000), (4, 4000), (0, 10_000), (4, 10_000)):
        found[f"{many} beside {slow} slow ones"] = sending_walls.beside_slow_ones(
            slow, many // 4 if options.short else many
        )
    found["partitions"] = sending_walls.on_partitions(10, 1000 if options.short else 10_000)
    found["same second"] = sending_walls.in_the_same_second(20 if options.short else 100)
    if not options.short:
        found["same second, five times as many"] = sending_walls.in_the_same_second(500)
    return found, walls.report(found)


def hearing(options: Options) -> Part:
    """Receipts: how soon they are answered, and how much they slow down a mailing."""
    with gateway.running() as target, tempfile.TemporaryDirectory() as directory:
        calls = 50 if options.short else 500
        found = receipts.measure(target, Path(directory), options.messages // 2, options.runs, calls)
    return found, receipts.report(found)


PARTS: dict[str, Callable[[Options], Part]] = {
    "job": job,
    "cpu": processor,
    "api": requests_of_the_api,
    "punctuality": punctual,
    "receipts": hearing,
    "start": starting,
    "growth": growing,
    "cost": money,
    "walls": at_once,
}


def machine() -> dict[str, Any]:
    """The machine that was used."""
    return {
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts that are named, or all of them."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--runs", type=int, default=5, help="of each measurement")
    parser.add_argument("--short", action="store_true", help="one run, of less: to see that it works")
    parser.add_argument("--million", action="store_true", help="a mailing to a million clients too (growth, cost)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which mailings start (punctuality)")
    parser.add_argument("--tests", action="store_true", help="run `make test`, too, for its time (start)")
    parser.add_argument("--fastest", action="store_true", help="of the peer's four kinds only the fastest (job)")
    parser.add_argument("--directory", type=Path, default=Path("dist/bench"))
    given = parser.parse_args(arguments)
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    sizes = (1000, 2000) if given.short else (1000, 10_000, 100_000)
    options = Options(
        runs=1 if given.short else given.runs,
        messages=1000 if given.short else 10_000,
        latencies=(20, 100),
        sizes=(*sizes, 1_000_000) if given.million else sizes,
        directory=given.directory,
        short=given.short,
        seed=given.seed,
        tests=given.tests,
        fastest=given.fastest,
    )
    options.directory.mkdir(parents=True, exist_ok=True)
    for name in given.parts or PARTS:
        say(f"{name}: {PARTS[name].__doc__}")
        found, text = PARTS[name](options)
        content = {"machine": machine(), "options": dataclasses.asdict(options) | {"directory": ""}, "found": found}
        (options.directory / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        (options.directory / f"{name}.md").write_text(text + "\n", encoding="utf-8")
        sys.stdout.write(f"\n## {name}\n\n{text}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
