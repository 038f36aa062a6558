"""Receipts on the embedded stack: how long their calls wait for an answer, and how much they slow down a mailing.

The gateway's calls come from this process, which is on the same cores as the service. A mailing alone and one with
receipts are measured in turns; the receipts are of messages that were sent before, and each changes one: first it was
not delivered for now, then it was.
"""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks import main_job
from benchmarks.figures import Figure, percentile, table
from benchmarks.gateway import Gateway
from benchmarks.main_job import Stack
from benchmarks.progress import say
from chalicelib.domain.messages import message_id_for

RATE = 1000  # receipts per second
EACH = 50  # of one call
WITHIN_MS = 50.0  # that a gateway waits
_ALONE_RATE = 50  # calls per second with one receipt each, on a service that does nothing else
_TIMEOUT = 30.0
_APPLIED_WITHIN = 90.0  # seconds


@dataclass
class Teller:
    """Calls with receipts at a rate until it is stopped, or has none left."""

    url: str
    receipts: Iterator[dict[str, str]]
    rate: float  # of receipts per second
    each: int
    connections: int = 4
    told: int = 0
    waits_ms: list[float] = field(default_factory=list)
    refused: int = 0
    about: set[str] = field(default_factory=set)  # ids of messages
    seconds: float = 0.0  # from the first call to the last answer

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._turns = itertools.count()
        self._threads = [threading.Thread(target=self._tell, daemon=True) for _ in range(self.connections)]

    def __enter__(self) -> Teller:
        self._began = time.perf_counter()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(_TIMEOUT)

    def wait(self) -> None:
        """Wait until all are sent."""
        for thread in self._threads:
            thread.join(main_job._BOUND)

    def _tell(self) -> None:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT)
        headers = {"Content-Type": "application/json"}
        while not self._stop.is_set():
            with self._lock:
                turn, receipts = next(self._turns), list(itertools.islice(self.receipts, self.each))
            if not receipts:
                break
            pause = self._began + turn * self.each / self.rate - time.perf_counter()
            if self._stop.wait(max(0.0, pause)):
                break
            body = json.dumps({"receipts": receipts})
            began = time.perf_counter()
            connection.request("POST", parts.path, body, headers)
            answer = connection.getresponse()
            answer.read()
            waited = 1000 * (time.perf_counter() - began)
            with self._lock:
                self.waits_ms.append(waited)
                self.told += len(receipts)
                self.about |= {one["message_id"] for one in receipts}
                self.seconds = time.perf_counter() - self._began
                self.refused += answer.status != 200
        connection.close()

    def found(self) -> dict[str, float]:
        """The results. Raises RuntimeError if there were no more receipts to send."""
        if not self.waits_ms:
            raise RuntimeError("there were not enough messages for all receipts")
        late = sum(one > WITHIN_MS for one in self.waits_ms)
        return {
            "calls": len(self.waits_ms),
            "receipts": self.told,
            "per_second": round(self.told / self.seconds, 1),
            "p50_ms": round(percentile(self.waits_ms, 0.5), 1),
            "p95_ms": round(percentile(self.waits_ms, 0.95), 1),
            "p99_ms": round(percentile(self.waits_ms, 0.99), 1),
            "most_ms": round(max(self.waits_ms), 1),
            "late_share": round(late / len(self.waits_ms), 4),
            "refused": self.refused,
        }


def measure(target: Gateway, directory: Path, count: int, runs: int, calls: int) -> dict[str, Any]:
    """All figures: so many pairs of mailings, alone and beside receipts, then calls with one receipt each."""
    settings = {"GATEWAY_RECEIPTS": "true", "PUBLIC_URL": "http://127.0.0.1"}
    with main_job.running(target.url, directory, **settings) as stack:
        stack.add_clients(count)
        client_ids = _client_ids(stack)
        sent = [main_job.sent_mailing(stack, count) for _ in range(runs + 2)]
        url = stack.api._url + urlsplit(target.control("/stats")["receipt_url"]).path
        ids = [message_id_for(mailing_id, one) for mailing_id in sent for one in client_ids]
        words = ("undelivered", "delivered")
        all_of_them = ({"message_id": one, "status": word} for word in words for one in ids)
        kept = list(itertools.islice(all_of_them, calls))
        pairs: list[dict[str, Any]] = []
        about: set[str] = set()
        for number in range(runs):
            pair: dict[str, Any] = {}
            for name in ("alone", "beside") if number % 2 else ("beside", "alone"):
                if name == "alone":
                    pair["alone"] = main_job.send(stack, target, 20, count).per_second
                else:
                    teller = Teller(url, all_of_them, RATE, EACH)
                    with teller:
                        pair["beside"] = main_job.send(stack, target, 20, count).per_second
                    pair["receipts"] = teller.found()
                    about |= teller.about
            pair["slower"] = round(1 - pair["beside"] / pair["alone"], 3)
            pairs.append(pair)
            say(f"run {number + 1}: {pair}")
        singles = Teller(url, iter(kept), _ALONE_RATE, 1)
        with singles:
            singles.wait()
        told = len(about | singles.about)
        return {"pairs": pairs, "singles": singles.found(), "told": told, "applied": _applied(stack, sent, told)}


def _client_ids(stack: Stack) -> list[str]:
    found: list[str] = []
    query: dict[str, str] = {"limit": "200"}
    while True:
        page = stack.api.call("GET", "/api/clients", params=query)
        found += [one["id"] for one in page["rows"]]
        if not page["next"]:
            return found
        query["cursor"] = page["next"]


def _applied(stack: Stack, sent: Sequence[str], told: int) -> int:
    """How many messages have a delivery, after the service has read all receipts."""
    deadline = time.monotonic() + _APPLIED_WITHIN
    while True:
        found = sum(_delivered(stack, mailing_id) for mailing_id in sent)
        if found >= told or time.monotonic() > deadline:
            return found
        time.sleep(1)


def _delivered(stack: Stack, mailing_id: str) -> int:
    delivery = stack.api.call("GET", f"/api/mailing/{mailing_id}/stats")["delivery"]
    return sum(int((delivery or {}).get(word, 0)) for word in ("delivered", "undelivered"))


def report(found: dict[str, Any]) -> str:
    """Tables of what `measure` found."""
    pairs = found["pairs"]
    rows = [
        ("messages/s alone", Figure.of(one["alone"] for one in pairs).shown()),
        (f"messages/s beside {RATE:,} receipts/s", Figure.of(one["beside"] for one in pairs).shown()),
        ("slower by, %, in pairs", Figure.of(100 * one["slower"] for one in pairs).shown(1)),
        ("receipts/s that were taken", Figure.of(one["receipts"]["per_second"] for one in pairs).shown()),
    ]
    waits = [(f"{EACH} receipts a call, beside a mailing", one["receipts"]) for one in pairs]
    names = ("p50_ms", "p95_ms", "p99_ms", "most_ms")
    lines = [(name, str(one["calls"]), *(str(one[each]) for each in names)) for name, one in waits]
    lines.append(
        ("one receipt a call, alone", str(found["singles"]["calls"]), *(str(found["singles"][each]) for each in names))
    )
    applied = f"Of {found['told']:,} messages with receipts {found['applied']:,} were counted so."
    head = ("answers", "calls", "p50, ms", "p95", "p99", "most")
    return "\n\n".join((table(("", ""), rows), table(head, lines), applied))
