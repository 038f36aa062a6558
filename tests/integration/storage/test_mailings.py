"""Mailings: changed only by whoever has read the latest version, listed in pages, counted exactly, deleted for good."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.errors import NotFound, Unavailable
from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.domain.mailing_counters import MailingCounters
from chalicelib.domain.mailings import Late, Mailing, OnUnknown
from chalicelib.domain.segments import Segment
from chalicelib.domain.statuses import MailingStatus
from tests.factories import START, MailingFactory
from tests.integration.storage.engines import Store

SECOND = timedelta(seconds=1)
FULL: dict[str, Any] = {
    "segment": Segment(("vip", ""), ("916", "903")),
    "rate_limit": 10,
    "on_unknown": OnUnknown.HOLD,
    "late": Late.SKIP,
    "local_window": LocalWindow.parse("22:00", "06:30", WindowPolicy.SKIP),
    "launched_at": START,
    "finished_at": START + SECOND,
    "reopening": ("failed", "unknown"),
    "final": (("failed", 1), ("sent", 2)),
    "widened_at": START + SECOND,
    "history": ((START, MailingStatus.RUNNING), (START + SECOND, MailingStatus.FINISHED)),
    "stops": ((START, START + SECOND), (START + 2 * SECOND, START + 3 * SECOND)),
}


def add(store: Store, **fields: Any) -> Mailing:
    mailing = MailingFactory(**fields)
    store.mailings.create(mailing)
    return mailing


def running(store: Store, **fields: Any) -> Mailing:
    """A running mailing, which has its shards."""
    mailing = add(store, **fields)
    launched = replace(mailing.moved_to(MailingStatus.RUNNING, START), launched_at=START)
    assert store.mailings.launch(mailing, launched)
    return launched


def end(store: Store, mailing: Mailing, **counts: int) -> Mailing:
    """The mailing as finished, with a recount."""
    final = tuple(sorted(counts.items()))
    finished = replace(mailing.moved_to(MailingStatus.FINISHED, START), final=final)
    assert store.mailings.end(mailing, finished, MailingCounters(Counter(counts)))
    return finished


# -- what was ordered


def test_a_mailing_is_read_as_it_was_written(store: Store) -> None:
    """Every field, set or not."""
    for mailing in (add(store), add(store, **FULL)):
        assert store.mailings.get(mailing.mailing_id) == mailing
        assert store.mailings.state(mailing.mailing_id).mailing == mailing


def test_an_unknown_mailing_is_not_found(store: Store) -> None:
    """Whichever way it is read."""
    unknown = MailingFactory().mailing_id
    for ask in (store.mailings.get, store.mailings.state, store.mailings.detail):
        with pytest.raises(NotFound):
            ask(unknown)


def test_changes_of_the_same_mailing_do_not_overwrite_each_other(store: Store) -> None:
    """Expects the second to be told so, and to count nothing."""
    mailing = add(store)
    paused = mailing.moved_to(MailingStatus.PAUSED, START)
    assert store.mailings.change(mailing, paused)
    assert not store.mailings.change(mailing, mailing.moved_to(MailingStatus.CANCELLED, START))
    assert not store.mailings.mark_deleted(mailing)
    assert store.mailings.get(mailing.mailing_id) == paused
    assert store.mailings.totals() == {"paused": 1}


def test_every_change_of_status_changes_the_totals(store: Store) -> None:
    """From one status to the next, until it is removed."""
    mailing = running(store)
    add(store)
    assert store.mailings.totals() == {"scheduled": 1, "running": 1}
    finished = end(store, mailing, sent=2)
    assert store.mailings.totals() == {"scheduled": 1, "finished": 1}
    assert store.mailings.totals_with_messages()[1] == {("finished", "sent"): 2}
    assert store.mailings.mark_deleted(finished)
    assert store.mailings.totals() == {"scheduled": 1}
    assert not {key: count for key, count in store.mailings.totals_with_messages()[1].items() if count}


def test_totals_of_an_earlier_version_are_added(store: Store) -> None:
    """They had an item for each counter, in parts with or without a number at the end."""
    mailing = running(store)
    store.tables.settings("ended-messages", "finished\x1fsent|1", amount=5).save()
    for name, amount in (("running", 2), ("running|3", 4), ("scheduled|3", 1), ("paused|0", 0)):
        store.tables.settings("mailings", name, amount=amount).save()
    assert store.mailings.totals() == {"scheduled": 1, "running": 7}
    end(store, mailing, sent=2)
    assert store.mailings.totals() == {"scheduled": 1, "running": 6, "finished": 1}
    assert store.mailings.totals_with_messages()[1] == {("finished", "sent"): 7}


@pytest.mark.parametrize("operation", ["create", "change", "launch", "mark_deleted"])
def test_a_lost_answer_is_recognised(faulty: Store, operation: str) -> None:
    """The repeat is refused, and what is found then is what was written; expects it to be counted once."""
    mailing = MailingFactory()
    if operation != "create":
        faulty.mailings.create(mailing)
    faulty.aws.lose_answers("dynamodb.TransactWriteItems")
    launched = replace(mailing.moved_to(MailingStatus.RUNNING, START), launched_at=START)
    if operation == "create":
        faulty.mailings.create(mailing)
        assert faulty.mailings.totals() == {"scheduled": 1}
    elif operation == "mark_deleted":
        assert faulty.mailings.mark_deleted(mailing)
        assert faulty.mailings.totals() == {}
    else:
        assert getattr(faulty.mailings, operation)(mailing, launched)
        assert faulty.mailings.totals() == {"running": 1}


# -- lists


def test_mailings_are_listed_with_the_newest_first(store: Store) -> None:
    """Expects each once, in pages, without the other items of a mailing."""
    mailings = [running(store) for _ in range(7)]
    found, after = [], None
    for _ in range(5):
        page, after = store.mailings.lists.list(None, after, 3)
        found += page
        if after is None:
            break
    assert found == sorted(mailings, key=lambda mailing: mailing.mailing_id, reverse=True)


def test_mailings_of_a_status_are_listed_with_the_latest_start_first(store: Store) -> None:
    """Expects all of them, even if several start at the same time."""
    mailings = [add(store, start_at=START + number // 2 * SECOND) for number in range(7)]
    running(store)
    found, after = [], None
    for _ in range(9):
        page, after = store.mailings.lists.list(MailingStatus.SCHEDULED, after, 2)
        found += page
        if after is None:
            break
    assert [mailing.start_at for mailing in found] == sorted((one.start_at for one in mailings), reverse=True)
    assert {mailing.mailing_id for mailing in found} == {mailing.mailing_id for mailing in mailings}
    assert len(found) == 7


def test_due_mailings_are_found_by_their_start(store: Store) -> None:
    """The earliest first, up to and including a moment."""
    due = [add(store, start_at=START + number * SECOND) for number in range(4)]
    found = store.mailings.lists.with_status(MailingStatus.SCHEDULED, START + 2 * SECOND)
    assert list(found) == due[:3]
    assert list(store.mailings.lists.with_status(MailingStatus.SCHEDULED)) == due
    assert list(store.mailings.lists.with_status(MailingStatus.RUNNING)) == []


# -- dispatch


def test_a_launched_mailing_has_sixteen_shards_at_their_start(store: Store) -> None:
    """None of them is done, so neither is the mailing."""
    state = store.mailings.state(running(store).mailing_id)
    assert len(state.shards) == 16
    assert {(shard.cursor, shard.expanded, shard.rows, shard.owner) for shard in state.shards.values()} == {
        ("", False, 0, "")
    }
    assert (state.statistics.dispatched, state.statistics.total) == (False, 0)


def test_a_shard_has_one_dispatcher(store: Store) -> None:
    """Until its lease expires or is released; a shard that does not exist has none."""
    mailing_id = running(store).mailing_id
    shard = store.mailings.state(mailing_id).shards["03"]
    until = START + 60 * SECOND
    assert store.mailings.shards.acquire(mailing_id, shard, "a", START, until)
    assert not store.mailings.shards.acquire(mailing_id, shard, "b", until, until + SECOND)
    store.mailings.shards.release(mailing_id, "03", "b")
    assert not store.mailings.shards.acquire(mailing_id, shard, "b", until, until + SECOND)
    assert store.mailings.shards.acquire(mailing_id, shard, "b", until + SECOND, until + 9 * SECOND)
    store.mailings.shards.release(mailing_id, "03", "b")
    assert store.mailings.shards.acquire(mailing_id, shard, "c", START, until)
    assert not store.mailings.shards.acquire(add(store).mailing_id, shard, "a", START, until)


def test_a_dispatcher_reads_only_its_shard(store: Store) -> None:
    """With the mailing; there is no shard before the launch, and nothing to read of a deleted mailing."""
    scheduled, mailing = add(store), running(store)
    shard = store.mailings.state(mailing.mailing_id).shards["03"]
    store.mailings.shards.acquire(mailing.mailing_id, shard, "a", START, START + SECOND)
    state = store.mailings.state(mailing.mailing_id)
    assert store.mailings.with_shard(mailing.mailing_id, "03") == (state.mailing, state.shards["03"])
    assert store.mailings.with_shard(scheduled.mailing_id, "03") == (scheduled, None)
    store.mailings.mark_deleted(scheduled)
    for mailing_id in (scheduled.mailing_id, "nothing"):
        with pytest.raises(NotFound):
            store.mailings.with_shard(mailing_id, "03")


def test_the_last_page_releases_the_lease(store: Store) -> None:
    """In the same write."""
    mailing_id = running(store).mailing_id
    store.mailings.shards.acquire(
        mailing_id, store.mailings.state(mailing_id).shards["03"], "a", START, START + 60 * SECOND
    )
    old = store.mailings.state(mailing_id).shards["03"]
    new = replace(old, cursor="", expanded=True, rows=5, lease_until=START + 90 * SECOND)
    assert store.mailings.shards.advance(mailing_id, old, new, START, Counter())
    assert store.mailings.state(mailing_id).shards["03"] == replace(new, owner="", lease_until=None, counted_at=START)


def test_a_lease_that_is_given_up_names_its_last_owner(store: Store) -> None:
    """It is free at once, like a released one, but still has the name of the dispatcher that stopped during a page."""
    mailing_id = running(store).mailing_id
    shard = store.mailings.state(mailing_id).shards["03"]
    store.mailings.shards.acquire(mailing_id, shard, "a", START, START + 60 * SECOND)
    store.mailings.shards.give_up(mailing_id, "03", "b", START)
    assert not store.mailings.shards.acquire(mailing_id, shard, "b", START, START + 60 * SECOND)
    store.mailings.shards.give_up(mailing_id, "03", "a", START)
    assert store.mailings.with_shard(mailing_id, "03")[1] == replace(
        shard, owner="a", lease_until=START - timedelta(milliseconds=1)
    )
    assert store.mailings.shards.acquire(mailing_id, shard, "b", START, START + 60 * SECOND)


def test_a_page_of_dispatch_is_saved_once(store: Store) -> None:
    """By the owner of the lease, from where the shard was; with the counts of what dispatch itself has skipped."""
    mailing_id = running(store).mailing_id
    until = START + 60 * SECOND
    store.mailings.shards.acquire(mailing_id, store.mailings.state(mailing_id).shards["03"], "a", START, until)
    old = store.mailings.state(mailing_id).shards["03"]
    new = replace(old, cursor="0:x", rows=5, lease_until=until + SECOND)
    settled = Counter(skipped=2)
    assert not store.mailings.shards.advance(mailing_id, replace(old, owner="b"), new, START, settled)
    assert store.mailings.shards.advance(mailing_id, old, new, START, settled)
    assert not store.mailings.shards.advance(mailing_id, old, new, START, settled)
    state = store.mailings.state(mailing_id)
    assert state.shards["03"] == replace(new, counted_at=START)
    assert (state.statistics.total, state.statistics.by_status["skipped"]) == (5, 2)


def test_a_feed_continues_from_where_it_was_read(store: Store) -> None:
    """Expects a feeder with an old place, or one from before a restart, to be refused."""
    mailing_id = running(store).mailing_id
    start = store.mailings.state(mailing_id).shards["03"]
    fed = replace(start, feed_cursor="x", fed=True)
    assert store.mailings.shards.advance_feed(mailing_id, start, fed)
    assert not store.mailings.shards.advance_feed(mailing_id, start, fed)
    assert not store.mailings.shards.restart_feed(mailing_id, start)
    assert store.mailings.shards.restart_feed(mailing_id, fed)
    again = store.mailings.state(mailing_id).shards["03"]
    assert again == replace(start, feed_round=1)
    assert not store.mailings.shards.advance_feed(mailing_id, start, fed)
    assert store.mailings.shards.advance_feed(mailing_id, again, replace(again, feed_cursor="y"))


# -- counts


def test_counts_are_added_up(store: Store) -> None:
    """Expects negative counts to work, and counts of zero to make no call."""
    mailing_id = running(store).mailing_id
    store.mailings.add_counts(mailing_id, Counter(sent=3, waiting=2), START)
    store.mailings.add_counts(mailing_id, Counter(sent=1, waiting=-2), START + SECOND)
    store.mailings.add_counts(mailing_id, Counter(), START + 2 * SECOND)
    state = store.mailings.state(mailing_id)
    assert +state.statistics.by_status == Counter(sent=4)
    assert state.progress_at == START + SECOND


def test_a_lost_answer_counts_once(faulty: Store) -> None:
    """The repeat is recognised by the writer's own mark; expects the next addition to count again."""
    mailing_id = running(faulty).mailing_id
    faulty.aws.lose_answers("dynamodb.UpdateItem")
    faulty.mailings.add_counts(mailing_id, Counter(sent=3), START)
    faulty.mailings.add_counts(mailing_id, Counter(sent=3), START)
    assert faulty.mailings.state(mailing_id).statistics.by_status["sent"] == 6


def test_threads_that_count_for_others_leave_their_marks(faulty: Store) -> None:
    """Expects threads that count a batch's mailings to add no attribute of their own, and each addition to count
    once."""
    mailing_ids = [running(faulty).mailing_id for _ in range(3)]
    marks = [faulty.mailings.mark() for _ in mailing_ids]

    def add(number: int) -> None:
        faulty.mailings.add_counts(mailing_ids[number], Counter(sent=3), START, marks[number])

    faulty.aws.lose_answers("dynamodb.UpdateItem", times=3)
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(add, range(3)))
    assert len({mark.writer for mark in marks}) == 1
    for mailing_id in mailing_ids:
        assert faulty.mailings.state(mailing_id).statistics.by_status["sent"] == 3


def test_a_mailing_that_goes_on_counts_from_its_recount(store: Store) -> None:
    """Whatever the running counts had missed."""
    mailing = running(store)
    store.mailings.add_counts(mailing.mailing_id, Counter(sent=1, failed=5), START)
    finished = end(store, mailing, sent=2, failed=1)
    store.mailings.align_counts(store.mailings.state(mailing.mailing_id), START)
    again = replace(finished.moved_to(MailingStatus.RUNNING, START), final=())
    assert store.mailings.change(finished, again)
    statistics = store.mailings.state(mailing.mailing_id).statistics
    assert (+statistics.by_status, statistics.total) == (Counter(sent=2, failed=1), 3)


# -- removing


def test_a_cancelled_mailing_waits_until_its_ledger_is_closed(store: Store) -> None:
    """Only a mailing that was launched has a ledger."""
    launched, never = running(store), add(store)
    for mailing in (launched, never):
        assert store.mailings.change(mailing, mailing.moved_to(MailingStatus.CANCELLED, START))
    assert list(store.mailings.closing(10)) == [launched.mailing_id]
    store.mailings.closed(launched.mailing_id)
    assert list(store.mailings.closing(10)) == []


def test_a_deleted_mailing_is_hidden_at_once_and_gone_in_the_end(store: Store) -> None:
    """In between, a mark says what is still to be done; expects another mailing to stay."""
    mailing, other = running(store), running(store)
    assert store.mailings.mark_deleted(mailing)
    with pytest.raises(NotFound):
        store.mailings.get(mailing.mailing_id)
    with pytest.raises(NotFound):
        store.mailings.state(mailing.mailing_id)
    assert store.mailings.lists.list(None, None, 10)[0] == [other]
    assert not store.mailings.change(mailing, mailing.moved_to(MailingStatus.PAUSED, START))
    assert store.mailings.is_deleted(mailing.mailing_id)
    assert list(store.mailings.deleted(10)) == [mailing.mailing_id]
    store.mailings.purge(mailing.mailing_id)
    assert not store.mailings.is_deleted(mailing.mailing_id)
    assert list(store.mailings.deleted(10)) == []
    assert len(store.mailings.state(other.mailing_id).shards) == 16


def test_a_failing_engine_is_unavailable(faulty: Store) -> None:
    """Whatever was requested."""
    mailing = add(faulty)
    faulty.aws.refuse("dynamodb.", "ThrottlingException")
    for ask in (
        lambda: faulty.mailings.get(mailing.mailing_id),
        lambda: faulty.mailings.state(mailing.mailing_id),
        lambda: faulty.mailings.create(MailingFactory()),
        lambda: faulty.mailings.change(mailing, mailing.moved_to(MailingStatus.PAUSED, START)),
        lambda: faulty.mailings.lists.list(None, None, 10),
        lambda: list(faulty.mailings.lists.with_status(MailingStatus.SCHEDULED)),
        lambda: faulty.mailings.totals(),
        lambda: faulty.mailings.add_counts(mailing.mailing_id, Counter(sent=1), START),
        lambda: faulty.mailings.shards.release(mailing.mailing_id, "00", "a"),
        lambda: faulty.mailings.purge(mailing.mailing_id),
    ):
        with pytest.raises(Unavailable):
            ask()
