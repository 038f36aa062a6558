"""Costs: what AWS charges for sending messages, from counted units and one dated table of prices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date

from .buckets import PER_BUCKET, Division
from .mailing_counters import HINTS, LOOKS, MILLISECONDS, WRITES, MailingCounters
from .mailings import MailingState


@dataclass(frozen=True, slots=True)
class Usage:
    """Units as AWS bills them.

    A write unit is up to 1 KB of an item or of an index, a read unit up to 4 KB read consistently (half of one
    otherwise), a queue request up to 64 KB. `gb_seconds` are the functions' durations times their memory. Logs are
    bytes that are ingested, transfer is bytes that are sent to the gateway.
    """

    write_units: float = 0.0
    read_units: float = 0.0
    queue_requests: float = 0.0
    invocations: float = 0.0
    gb_seconds: float = 0.0
    log_bytes: float = 0.0
    bytes_out: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Usage)))

    def __mul__(self, times: float) -> Usage:
        return Usage(*(getattr(self, one.name) * times for one in fields(Usage)))


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars for a million units in one region, on demand, without free tiers, discounts and taxes."""

    as_of: date
    region: str
    per_million: Usage

    def lines(self, usage: Usage) -> dict[str, float]:
        """Dollars for each kind of unit, by its name."""
        return {one.name: getattr(usage, one.name) * getattr(self.per_million, one.name) / 1e6 for one in fields(Usage)}

    def total(self, usage: Usage) -> float:
        """Dollars for all of it."""
        return sum(self.lines(usage).values())


# aws.amazon.com: /dynamodb/pricing/on-demand, /sqs/pricing (standard queues), /lambda/pricing (arm64, first tier),
# /cloudwatch/pricing (logs of Lambda, first 10 TB, $0.50 a GB), /ec2/pricing/on-demand (out to the Internet, first
# 10 TB, $0.09 a GB).
PRICES = Prices(
    as_of=date(2026, 11, 24),
    region="us-east-1",
    per_million=Usage(
        write_units=0.625,
        read_units=0.125,
        queue_requests=0.40,
        invocations=0.20,
        gb_seconds=13.3334,
        log_bytes=0.0005,
        bytes_out=0.00009,
    ),
)

# What `make cost` measures: for each mailing (with one shard, or all), each row that dispatch writes, each hint that a
# sender receives, and each message of a hint. Writes of the ledger are not in it, because they are counted as they
# happen. A test compares these figures with what is measured.
SMALL_MAILING = Usage(write_units=42, read_units=12, queue_requests=9, invocations=4.5, gb_seconds=0.7, log_bytes=3_200)
MAILING = Usage(write_units=112, read_units=125, queue_requests=110, invocations=40, gb_seconds=2.2, log_bytes=23_500)
ROW = Usage(write_units=0.01, read_units=0.07, queue_requests=0.021, gb_seconds=0.0005, log_bytes=1)
HINT = Usage(queue_requests=0.18, invocations=0.077)
LOOK = Usage(write_units=0.026, read_units=0.65, log_bytes=13.5, bytes_out=830)
LOOK_SECONDS = 0.0055  # of a sender, if the gateway answers in 100 ms
WRITES_OF_A_BUCKET = 2.2  # claims and outcomes; one bucket in eight is larger than 1 KB
SENDER_GB = 1.0


def estimate(rows: int, recipients: int) -> float:
    """Dollars for a mailing with `rows` rows, of which `recipients` are sent at the first attempt."""
    return PRICES.total(expected(rows, recipients))


def expected(rows: int, recipients: int) -> Usage:
    """The units that such a mailing takes."""
    writes = WRITES_OF_A_BUCKET * share_of_bucket(rows)
    look = LOOK + Usage(write_units=writes, gb_seconds=LOOK_SECONDS * SENDER_GB)
    return _dispatch(rows) + (HINT * (1 / PER_BUCKET) + look) * recipients


def actual(rows: int, work: Mapping[str, int]) -> float:
    """Dollars for a mailing so far, from the work that senders counted (domain.mailing_counters)."""
    seconds = work.get(MILLISECONDS, 0) / 1000
    sending = Usage(write_units=work.get(WRITES, 0), gb_seconds=seconds * SENDER_GB)
    return PRICES.total(_dispatch(rows) + HINT * work.get(HINTS, 0) + LOOK * work.get(LOOKS, 0) + sending)


def _dispatch(rows: int) -> Usage:
    mailing = SMALL_MAILING if Division.among(rows).shards == 1 else MAILING
    return mailing + (ROW + Usage(write_units=share_of_bucket(rows))) * rows


def share_of_bucket(rows: int) -> float:
    """Buckets in use per message, if a mailing has so many rows: the share of a bucket's writes that one message takes.

    Messages fall into buckets by chance, so a few messages are mostly in a bucket each.
    """
    division = Division.among(rows)
    in_each = rows / (division.shards * division.buckets)
    return (1 - math.exp(-in_each)) / in_each if rows else 1.0


@dataclass(frozen=True, slots=True)
class MailingCost:
    """Dollars for one mailing: the estimate for one attempt of every message, and what was really done so far.

    `estimate` is None before everyone who matches has a row, `actual` before the mailing is launched.
    """

    estimate: float | None = None
    actual: float | None = None


def cost_of(state: MailingState, counters: MailingCounters) -> MailingCost:
    """What a mailing costs, from its counters."""
    counts = state.statistics
    if not state.mailing.launched_at:
        return MailingCost()
    recipients = counts.total - counts.by_status["skipped"]
    return MailingCost(
        estimate(counts.total, recipients) if counts.dispatched else None, actual(counts.total, counters.work)
    )
