"""Mailings as rows of their table: converts both ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from ..domain.buckets import Division
from ..domain.budgets import PausedFor, from_millionths, to_millionths
from ..domain.client_ids import SHARD_COUNT
from ..domain.errors import NotFound
from ..domain.faults import Fault
from ..domain.filters import Filter
from ..domain.local_window import LocalWindow, WindowPolicy
from ..domain.mailing_counters import DOUBTS, MailingCounters
from ..domain.mailings import Late, Mailing, MailingState, Missing, OnUnknown, ShardProgress, Sleep, Statistics
from ..domain.segments import Segment
from ..domain.statuses import MailingStatus
from ..domain.stops import Span
from ..domain.templates import TemplateLink
from .models import MailingModel
from .moments import from_ms, to_ms

META = "META"
FINAL = "FINAL"
SPENT = "SPENT"
KIND = "mailing"
_SHARD = "SHARD#"
DELETED = "deleted"  # instead of a status, while the ledger of a deleted mailing is being removed


def shard_part(shard: str) -> str:
    """The part with the progress of dispatch in a shard."""
    return _SHARD + shard


def meta_of(mailing_id: str, rows: Sequence[MailingModel]) -> MailingModel:
    """The row with the mailing's fields. Raises NotFound if there is none, or if it is marked as deleted."""
    for row in rows:
        if row.part == META and row.status != DELETED:
            return row
    raise NotFound(Fault.NO_SUCH_MAILING, name=repr(mailing_id[:80]))


def meta_row(model: type[MailingModel], mailing: Mailing) -> MailingModel:
    """What was ordered, as a row."""
    window = mailing.local_window
    return model(
        mailing.mailing_id,
        META,
        kind=KIND,
        status=str(mailing.status),
        revision=mailing.revision,
        name=mailing.name or None,
        text=mailing.text,
        tags=list(mailing.segment.tags),
        operators=list(mailing.segment.operators),
        filter=mailing.segment.filter.text if mailing.segment.filter else None,
        recipients=mailing.segment.recipients or None,
        start_at=mailing.start_at,
        end_at=mailing.end_at,
        on_unknown=str(mailing.on_unknown),
        rate_limit=mailing.rate_limit,
        created_by=mailing.created_by,
        created_at=mailing.created_at,
        updated_at=mailing.updated_at,
        launched_at=mailing.launched_at,
        widened_at=mailing.widened_at,
        asked_until=mailing.asked_until,
        finished_at=mailing.finished_at,
        window_from=window.start.isoformat("minutes") if window else None,
        window_until=window.until.isoformat("minutes") if window else None,
        window_policy=str(window.policy) if window else None,
        late=str(mailing.late),
        include_unreachable=mailing.include_unreachable or None,
        texts=dict(mailing.texts) or None,
        missing=None if mailing.missing is Missing.SKIP else str(mailing.missing),
        gateway=mailing.gateway or None,
        template=_template_told(mailing.template) if mailing.template else None,
        keep_values=None if mailing.keep_values else False,
        budget=None if mailing.budget is None else to_millionths(mailing.budget),
        paused_for=str(mailing.paused_for) if mailing.paused_for else None,
        reopening=list(mailing.reopening) or None,
        final=dict(mailing.final) or None,
        history=[f"{to_ms(at)} {status}" for at, status in mailing.history] or None,
        stops=[f"{to_ms(since)} {to_ms(until)}" for since, until in mailing.stops] or None,
        shards=None if mailing.division.shards == SHARD_COUNT else mailing.division.shards,
        buckets=mailing.division.buckets,
    )


def mailing_of(row: MailingModel) -> Mailing:
    """What was ordered."""
    # META always has these; they are optional in the model because the other parts do not.
    assert row.start_at  # noqa: S101
    assert row.end_at  # noqa: S101
    assert row.created_at  # noqa: S101
    assert row.updated_at  # noqa: S101
    return Mailing(
        mailing_id=row.mailing_id,
        name=row.name or "",
        text=row.text or "",
        segment=Segment(
            tuple(row.tags or ()),
            tuple(row.operators or ()),
            Filter(row.filter) if row.filter else None,
            row.recipients or "",
        ),
        start_at=row.start_at,
        end_at=row.end_at,
        status=MailingStatus(row.status or ""),
        revision=int(row.revision or 0),
        created_at=row.created_at,
        updated_at=row.updated_at,
        on_unknown=OnUnknown(row.on_unknown or OnUnknown.RETRY),
        rate_limit=None if row.rate_limit is None else int(row.rate_limit),
        created_by=row.created_by or "",
        launched_at=row.launched_at,
        finished_at=row.finished_at,
        local_window=_window(row),
        late=Late(row.late or Late.RUN),
        include_unreachable=bool(row.include_unreachable),
        texts=tuple(sorted(row.texts.attribute_values.items())) if row.texts else (),
        missing=Missing(row.missing or Missing.SKIP),
        gateway=row.gateway or "",
        template=_template(row.template) if row.template else None,
        keep_values=row.keep_values is not False,
        budget=None if row.budget is None else from_millionths(int(row.budget)),
        paused_for=PausedFor(row.paused_for) if row.paused_for else None,
        reopening=tuple(row.reopening or ()),
        final=_counts(row.final.attribute_values) if row.final else (),
        history=tuple(_change(text) for text in row.history or ()),
        stops=tuple(_stop(text) for text in row.stops or ()),
        widened_at=row.widened_at,
        asked_until=row.asked_until,
        division=Division.kept(row.shards, row.buckets),
    )


def _counts(stored: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, int(count)) for name, count in stored.items()))


def _template_told(link: TemplateLink) -> str:
    return f"{link.template_id} {link.version} {link.name}"


def _template(text: str) -> TemplateLink:
    template_id, version, name = text.split(" ", 2)
    return TemplateLink(template_id, int(version), name)


def _change(text: str) -> tuple[datetime, MailingStatus]:
    at, _, status = text.partition(" ")
    return from_ms(int(at)), MailingStatus(status)


def _stop(text: str) -> Span:
    since, _, until = text.partition(" ")
    return from_ms(int(since)), from_ms(int(until))


def _window(row: MailingModel) -> LocalWindow | None:
    if row.window_from is None or row.window_until is None:
        return None
    policy = WindowPolicy(row.window_policy or WindowPolicy.DEFER)
    return LocalWindow.parse(row.window_from, row.window_until, policy)


def shard_of(row: MailingModel) -> ShardProgress:
    """How far dispatch has come."""
    return ShardProgress(
        shard=row.part.removeprefix(_SHARD),
        cursor=row.cursor or "",
        expanded=bool(row.expanded),
        rows=int(row.rows or 0),
        feed_cursor=row.feed_cursor or "",
        fed=bool(row.fed),
        feed_round=int(row.feed_round or 0),
        owner=row.owner or "",
        lease_until=row.lease_until,
        counted_at=row.updated_at,
    )


def running_counters_of(rows: Sequence[MailingModel]) -> MailingCounters:
    """The running counters, summed over the parts."""
    counters: Counter[str] = Counter()
    for row in rows:
        counters.update(row.counters_by_name)
    first = [row.first_sent_at for row in rows if row.part != FINAL and row.first_sent_at]
    last = [row.last_sent_at for row in rows if row.part != FINAL and row.last_sent_at]
    return MailingCounters(counters, min(first, default=None), max(last, default=None))


def final_counters_of(rows: Sequence[MailingModel]) -> MailingCounters:
    """The counters of an ended mailing.

    The work of sending is not in the ledger, so a recount does not have it; and receipts come after the end too.
    """
    for row in rows:
        if row.part == FINAL and row.counters:
            counters = {name: int(count) for name, count in row.counters.attribute_values.items()}
            running = running_counters_of(rows)
            both = Counter(counters) + running.work + running.deliveries
            return MailingCounters(both, row.first_sent_at, row.last_sent_at)
    return MailingCounters()


def state_of(mailing_id: str, rows: Sequence[MailingModel]) -> MailingState:
    """The state of a mailing from its parts. Raises NotFound if there are none."""
    meta = meta_of(mailing_id, rows)
    parts = [row for row in rows if row.part != META]
    mailing, counters = mailing_of(meta), running_counters_of(parts)
    by_status = counters.by_status
    progress_at = meta.launched_at
    for row in parts:
        if row.updated_at and (progress_at is None or row.updated_at > progress_at):
            progress_at = row.updated_at
    progress = {shard.shard: shard for shard in (shard_of(row) for row in rows if row.part.startswith(_SHARD))}
    total = sum(shard.rows for shard in progress.values())
    dispatched = len(progress) == mailing.division.shards and all(shard.expanded for shard in progress.values())
    if mailing.final:
        by_status = Counter(dict(mailing.final))
        total = by_status.total()
    statistics = Statistics(total, by_status, dispatched)
    sleep = next((Sleep(row.looked_at, row.due_at) for row in rows if row.looked_at), None)
    spent = from_millionths(sum(int(row.spent or 0) for row in rows))
    return MailingState(
        mailing=mailing,
        shards=progress,
        statistics=statistics,
        progress_at=progress_at,
        doubtful=counters.by_name[DOUBTS] > 0,
        sleep=sleep,
        spent=spent,
    )
