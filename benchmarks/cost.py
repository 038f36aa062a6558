"""`make cost`: what a million messages cost on AWS, by line, from the calls that mailings of growing size really make.

The code is the real one, on a simulated clock, and AWS is answered in process. Every call is counted with its units
(benchmarks/units.py) and priced by the table in chalicelib/domain/costs.py. A function's duration is the time of its
AWS calls (10 ms each), its share of the gateway's latency, and its measured CPU time, divided by the share of a CPU
that its memory buys.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks import mailing
from benchmarks.figures import table
from benchmarks.mailing import EVENT_SOURCE, Measured
from benchmarks.progress import say
from benchmarks.transfer import bytes_of_a_call
from chalicelib.domain.costs import PRICES, Usage

GATEWAY_SECONDS = 0.1
AT_ONCE = 50  # calls of one sender, GATEWAY_CONCURRENCY
# A gateway that takes a second, with that many calls at once, and with twice as many.
SLOW = ((1.0, AT_ONCE), (1.0, 2 * AT_ONCE))
# CPU time of an HTTP call to the gateway, which the simulation does not make; `make bench` measures it.
HTTP_CPU_SECONDS = 0.0007
_MILLION = 1_000_000
_SHOWN = 0.005  # dollars
_KINDS = {
    "writes": ("write_units",),
    "reads": ("read_units",),
    "queues": ("queue_requests",),
    "functions": ("invocations", "gb_seconds"),
    "logs": ("log_bytes",),
    "transfer to the gateway": ("bytes_out",),
}

Lines = dict[tuple[str, str], Usage]


def priced_lines(measured: Measured, latency: float = GATEWAY_SECONDS, at_once: int = AT_ONCE) -> Lines:
    """Usage for a million messages, by what it is for and who asked."""
    lines: Lines = {}
    for (who, operation, resource), line in measured.meter.lines.items():
        if operation == "GetQueueUrl":
            continue  # once in an environment's life
        about = (f"{operation} {resource}", who or "api")
        lines[about] = lines.get(about, Usage()) + line.usage
    for name, function in measured.functions.items():
        cpu = measured.cpu.get(name, 0.0) + function.gateway_calls * HTTP_CPU_SECONDS
        lines["invocations and their duration", name] = function.usage(cpu, latency, at_once)
        lines["logs", name] = Usage(log_bytes=function.log_bytes)
    calls = measured.functions["sender"].gateway_calls
    lines["transfer to the gateway", "sender"] = Usage(bytes_out=calls * bytes_of_a_call())
    return {name: usage * (_MILLION / measured.clients) for name, usage in lines.items()}


def shares(measured: Measured) -> tuple[Usage, Usage]:
    """What sending took, without its changes of the ledger, and everything else: creating, dispatch, and the end."""
    sending, others = Usage(), Usage()
    for (what, who), usage in priced_lines(measured).items():
        if what == "BatchExecuteStatement ledger" and who == "sender":
            continue
        if who == "sender" or (what.endswith(" send") and who == EVENT_SOURCE):
            sending += usage
        else:
            others += usage
    return sending, others


def fitted(small: Measured, large: Measured) -> dict[str, Usage]:
    """What a mailing takes itself, for each row, and for each hint, computed from two sizes."""
    scale = 1 / _MILLION
    at_small, at_large = (shares(one)[1] * (one.clients * scale) for one in (small, large))
    row = (at_large + at_small * -1) * (1 / (large.clients - small.clients))
    hint = shares(large)[0] * scale
    return {"mailing": at_small + row * -small.clients, "row": row, "hint": hint}


def report(measured: Measured) -> str:
    """The lines of one size, the most expensive first."""
    lines = priced_lines(measured)
    total = sum(lines.values(), Usage())
    text = [f"{measured.clients:,} clients: ${PRICES.total(total):.3f} for a million messages"]
    small = 0.0
    for (what, who), usage in sorted(lines.items(), key=lambda line: -PRICES.total(line[1])):
        dollars = PRICES.total(usage)
        if dollars < _SHOWN:
            small += dollars
            continue
        units = ", ".join(
            f"{getattr(usage, kind) / _MILLION:.3f} {kind}" for kind in PRICES.lines(usage) if getattr(usage, kind)
        )
        text.append(f"  ${dollars:6.3f}  {who:<13} {what:<40} {units} each")
    text.append(f"  ${small:6.3f}  {'':<13} everything else")
    kinds = ", ".join(f"{kind} ${dollars:.3f}" for kind, dollars in PRICES.lines(total).items())
    text.append(f"  by kind: {kinds}")
    return "\n".join(text)


def summary(sizes: Sequence[Measured]) -> str:
    """The table of docs/performance.md: dollars for a million messages by kind and size."""
    totals = [sum(priced_lines(one).values(), Usage()) for one in sizes]
    kinds = {name: [sum(PRICES.lines(total)[kind] for kind in of) for total in totals] for name, of in _KINDS.items()}
    rows = [(name, *(f"${dollars:.3f}" for dollars in line)) for name, line in kinds.items()]
    all_of_it = ("**all**", *(f"**${PRICES.total(total):.2f}**" for total in totals))
    slow = [
        (
            f"all, with a gateway of {latency:g} s, {at_once} calls at once",
            *(_total(one, latency, at_once) for one in sizes),
        )
        for latency, at_once in SLOW
    ]
    head = ("for a million messages", *(f"{one.clients:,} clients" for one in sizes))
    return table(head, [*rows, all_of_it, *slow])


def _total(measured: Measured, latency: float, at_once: int) -> str:
    return f"${PRICES.total(sum(priced_lines(measured, latency, at_once).values(), Usage())):.2f}"


def main(sizes: list[str]) -> None:
    """Measure and print, size by size."""
    mailing.quiet()
    sys.stdout.write(f"Prices of {PRICES.as_of}, {PRICES.region}, on demand; gateway {GATEWAY_SECONDS * 1000:.0f} ms\n")
    done = []
    for size in sizes or ["1000", "10000", "100000"]:
        say(f"a mailing to {int(size):,} clients")
        done.append(mailing.run(int(size)))
        sys.stdout.write(report(done[-1]) + "\n\n")
        sys.stdout.flush()
    sys.stdout.write(summary(done) + "\n")
    if len(done) > 1:
        for name, usage in fitted(done[0], done[1]).items():
            sys.stdout.write(f"for each {name}: {usage}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
