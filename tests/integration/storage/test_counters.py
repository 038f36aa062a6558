"""Counters beside the rows: they equal a recount, whatever is done in any order and whichever answers are lost."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import ConnectionClosedError

from chalicelib.domain.clients import Client
from chalicelib.domain.errors import Conflict, NotFound, Unavailable
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.segments import Segment
from chalicelib.domain.statuses import MailingStatus
from chalicelib.storage.segments import Total
from tests.factories import START, ClientFactory, MailingFactory
from tests.integration.storage.engines import Store
from tests.support.aws import Call

TAGS = ("a", "b", "c")


def lose_some(store: Store, rng: random.Random) -> None:
    """Lose a tenth of the calls that write on the way there, and a tenth of their answers on the way back."""

    def lost(call: Call) -> None:
        if call.operation == "dynamodb.TransactWriteItems" and rng.random() < 0.1:
            raise ConnectionClosedError(endpoint_url="http://in-process.invalid")

    store.aws.before = store.aws.after = lost


def recounted(store: Store) -> Counter[tuple[tuple[str, ...], str, bool]]:
    """The directory, counted row by row."""
    counts: Counter[tuple[tuple[str, ...], str, bool]] = Counter()
    cursor = ""
    for _ in range(100):
        clients, cursor = store.clients.list(Segment(), cursor, 200)
        counts.update((client.tags, client.operator, client.opted_out) for client in clients)
        if not cursor:
            return counts
    raise AssertionError("the list does not end")


def move_a_client(store: Store, known: list[Client], rng: random.Random, step: int) -> None:
    """One random change of the directory, sometimes from an outdated version."""
    now = START + timedelta(milliseconds=step + 1)
    client = rng.choice(known)
    changed = replace(
        client, tags=tuple(rng.sample(TAGS, rng.randrange(4))), opted_out=rng.random() < 0.3, updated_at=now
    )
    with contextlib.suppress(Conflict, NotFound, Unavailable):
        match rng.randrange(5):
            case 0:
                store.clients.create(replace(client, created_at=now, updated_at=now))
            case 1:
                store.clients.delete(store.clients.get(client.client_id))
            case 2:
                store.clients.change(store.clients.get(client.client_id), changed)
            case 3:
                store.clients.change(client, changed)
            case _:
                store.clients.upsert([changed])


@pytest.mark.parametrize("seed", range(3))
def test_counts_of_clients_equal_a_recount(faulty: Store, seed: int) -> None:
    """After two hundred changes, some of them refused or lost."""
    rng = random.Random(seed)
    known = ClientFactory.build_batch(12, tag="a", timezone="UTC")
    lose_some(faulty, rng)
    for step in range(200):
        move_a_client(faulty, known, rng, step)
    faulty.aws.before = faulty.aws.after = lambda call: None
    counts = recounted(faulty)
    assert counts.total() > 0
    of_first: Counter[tuple[str, str, bool]] = Counter()
    for (tags, operator, opted_out), count in counts.items():
        of_first["".join(tags[:1]), operator, opted_out] += count
    parts = faulty.clients.counts(Segment()).parts
    assert {(part.tag, part.operator, part.opted_out): part.count for part in parts} == of_first
    assert faulty.clients.total(Segment()) == Total(counts.total())
    for tag in ("", *TAGS):
        tagged = sum(count for (tags, _, _), count in counts.items() if tag in (tags or ("",)))
        assert faulty.clients.total(Segment((tag,))) == Total(tagged)


@pytest.mark.parametrize("seed", range(3))
def test_totals_of_mailings_equal_a_recount(faulty: Store, seed: int) -> None:
    """Expects removed mailings in neither."""
    rng = random.Random(seed)
    known: list[Mailing] = MailingFactory.build_batch(8)
    lose_some(faulty, rng)
    for mailing in known:
        with contextlib.suppress(Unavailable):
            faulty.mailings.create(mailing)
    for step in range(120):
        with contextlib.suppress(Conflict, NotFound, Unavailable):
            old = rng.choice([faulty.mailings.get(rng.choice(known).mailing_id), rng.choice(known)])
            if rng.random() < 0.04:
                faulty.mailings.mark_deleted(old)
            else:
                new = old.moved_to(rng.choice(list(MailingStatus)), START + timedelta(milliseconds=step))
                faulty.mailings.change(old, new)
    faulty.aws.before = faulty.aws.after = lambda call: None
    mailings, _ = faulty.mailings.lists.list(None, None, 100)
    assert faulty.mailings.totals() == Counter(str(mailing.status) for mailing in mailings)


def test_mailings_that_start_together_use_different_counters(store: Store) -> None:
    """Expects the counters to be on eight keys, and each mailing to stay in the same one."""
    mailings: list[Mailing] = MailingFactory.build_batch(60)
    for mailing in mailings:
        store.mailings.create(mailing)
    scopes = [f"mailings-{part}" for part in range(8)]
    rows = [row.to_simple_dict() for scope in scopes for row in store.tables.settings.query(scope)]
    assert len(rows) == 8
    for mailing in mailings[:59]:
        assert store.mailings.mark_deleted(mailing)
    assert store.mailings.totals() == {"scheduled": 1}
