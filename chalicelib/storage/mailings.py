"""Mailings: what was ordered, and their counts, under one key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.audit_acts import mailing_act
from ..domain.errors import Invalid, NotFound, Unavailable
from ..domain.excerpts import excerpt
from ..domain.faults import Fault
from ..domain.idempotency import IdempotencyKey, OrderedMailing
from ..domain.mailing_counters import MailingCounters
from ..domain.mailings import Mailing, MailingState, ShardProgress
from ..domain.statuses import MailingStatus
from .audit import AuditLog
from .dynamodb import Item, read_items, transact, translated
from .idempotency import IdempotencyRepository
from .mailing_counters import MailingCounterRepository, Mark
from .mailing_lists import MailingLists
from .mailing_rows import (
    DELETED,
    FINAL,
    META,
    final_counters_of,
    mailing_of,
    meta_of,
    meta_row,
    running_counters_of,
    shard_of,
    shard_part,
    state_of,
)
from .mailing_shards import MailingShards
from .mailing_totals import MailingTotals
from .models import MailingModel
from .recipients import claim, claims, owner_of
from .tables import Tables

_CLOSING = "closing"


class MailingRepository:
    """Mailings in DynamoDB. Every write is conditional on the revision that was read."""

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff) -> None:
        self._model = tables.mailings
        self._dynamodb = dynamodb
        self._settings = tables.settings
        self._totals = MailingTotals(tables, dynamodb, backoff)
        self._connection = tables.connection
        self._backoff = backoff
        self._counts = MailingCounterRepository(tables)
        self._idempotency = IdempotencyRepository(tables)
        self._audit = AuditLog(tables, backoff)
        self.lists = MailingLists(tables)
        self.shards = MailingShards(tables)

    # -- what was ordered

    def create(self, mailing: Mailing) -> None:
        """Add a mailing. Raises Invalid if another one has its file of recipients."""

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.save(meta_row(self._model, mailing), condition=self._model.mailing_id.does_not_exist())
                self._totals.move(transaction, None, mailing)
                claim(transaction, self._settings, mailing)
                self._audit.note(transaction, mailing_act(None, mailing), mailing.created_at)

        with translated("mailings"):
            if transact(self._backoff, run):  # other refusals are repeats of a lost answer, because the id is new
                self._refuse_used(mailing)

    def _refuse_used(self, mailing: Mailing) -> None:
        """Raises Invalid if another mailing has its file of recipients."""
        owner = owner_of(self._settings, mailing.segment.recipients) if claims(mailing) else mailing.mailing_id
        if owner != mailing.mailing_id:
            raise Invalid.of("clients.recipients", Fault.RECIPIENTS_USED, name=owner)

    def create_once(self, mailing: Mailing, request: IdempotencyKey, kept_until: datetime) -> OrderedMailing | None:
        """Like `create` if the request's key is new; otherwise adds nothing and returns the mailing created with it.

        Mailing and key are written in one transaction, so that neither exists without the other. Raises Invalid as
        `create` does.
        """

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.save(meta_row(self._model, mailing), condition=self._model.mailing_id.does_not_exist())
                self._idempotency.keep(transaction, request, mailing, kept_until)
                self._totals.move(transaction, None, mailing)
                claim(transaction, self._settings, mailing)
                self._audit.note(transaction, mailing_act(None, mailing), mailing.created_at)

        with translated("mailings"):
            if not transact(self._backoff, run):
                return None
        earlier = self.ordered_by(request, mailing.created_at)
        if earlier is None:
            self._refuse_used(mailing)
            raise Unavailable("the request's key ran out this moment; try again")
        return None if earlier.mailing_id == mailing.mailing_id else earlier

    def ordered_by(self, request: IdempotencyKey, now: datetime) -> OrderedMailing | None:
        """The mailing created with the request's key, as long as it is remembered."""
        return self._idempotency.find(request, now)

    def get(self, mailing_id: str) -> Mailing:
        """The mailing with this id. Raises NotFound if there is none."""
        with translated("mailings"):
            rows = list(self._model.query(mailing_id, self._model.part == META, consistent_read=True))
        return mailing_of(meta_of(mailing_id, rows))

    def state(self, mailing_id: str) -> MailingState:
        """The mailing with its dispatch and its counts, in one consistent read. Raises NotFound if there is none."""
        return state_of(mailing_id, self._parts(mailing_id))

    def with_shard(self, mailing_id: str, shard: str) -> tuple[Mailing, ShardProgress | None]:
        """The mailing, and the progress of one of its shards (None before the launch), in one consistent read.

        Raises NotFound if there is no such mailing.
        """
        keys: list[Item] = [
            {"mailing_id": {"S": mailing_id}, "part": {"S": part}} for part in (META, shard_part(shard))
        ]
        table = self._model.Meta.table_name
        items = read_items(self._dynamodb, self._backoff, table, keys, consistent=True)
        rows = [self._model.from_raw_data(item) for item in items]
        shards = [shard_of(row) for row in rows if row.part != META]
        return mailing_of(meta_of(mailing_id, rows)), shards[0] if shards else None

    def titles(self, mailing_ids: Iterable[str]) -> dict[str, str]:
        """The names of mailings for people, by their ids, as far as they exist."""
        keys: list[Item] = [{"mailing_id": {"S": one}, "part": {"S": META}} for one in dict.fromkeys(mailing_ids)]
        table = self._model.Meta.table_name
        names = ("mailing_id", "part", "status", "name", "text")
        items = read_items(self._dynamodb, self._backoff, table, keys, consistent=False, names=names)
        rows = [self._model.from_raw_data(item) for item in items]
        return {row.mailing_id: row.name or excerpt(row.text or "") for row in rows if row.status != DELETED}

    def detail(self, mailing_id: str) -> tuple[MailingState, MailingCounters]:
        """The mailing with all its counters, in the same read. Raises NotFound if there is none."""
        rows = self._parts(mailing_id)
        state = state_of(mailing_id, rows)
        return state, final_counters_of(rows) if state.mailing.final else running_counters_of(rows)

    def details(self, mailing_ids: Iterable[str]) -> Iterator[tuple[MailingState, MailingCounters]]:
        """The mailings that exist, each as `detail` reads it."""
        for mailing_id in dict.fromkeys(mailing_ids):
            try:
                found = self.detail(mailing_id)
            except NotFound:  # deleted since
                continue
            yield found

    def _parts(self, mailing_id: str) -> list[MailingModel]:
        with translated("mailings"):
            return list(self._model.query(mailing_id, consistent_read=True))

    def change(self, old: Mailing, new: Mailing) -> bool:
        """Replace `old` by `new`. Returns False if it has changed since it was read."""
        return self._write(old, new, [])

    def end(self, old: Mailing, new: Mailing, recount: MailingCounters) -> bool:
        """Like `change`, and saves the recount of the ledger as the final counts."""
        final = self._model(
            new.mailing_id,
            FINAL,
            counters=dict(recount.by_name),
            first_sent_at=recount.first_sent_at,
            last_sent_at=recount.last_sent_at,
        )
        return self._write(old, new, [final])

    def launch(self, old: Mailing, new: Mailing, begun: ShardProgress | None = None) -> bool:
        """Like `change`, and creates the mailing's shards, the `begun` one with its lease."""
        leases = {begun.shard: begun} if begun else {}
        shards = [
            self._model(
                new.mailing_id,
                shard_part(name),
                cursor="",
                expanded=False,
                rows=0,
                feed_cursor="",
                fed=False,
                feed_round=0,
                owner=leases[name].owner if name in leases else None,
                lease_until=leases[name].lease_until if name in leases else None,
            )
            for name in new.division.names
        ]
        return self._write(old, new, shards)

    def _write(self, old: Mailing, new: Mailing, parts: Sequence[MailingModel]) -> bool:
        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.save(meta_row(self._model, new), condition=self._model.revision == old.revision)
                for part in parts:
                    transaction.save(part)
                if new.status is MailingStatus.CANCELLED and new.launched_at and not new.final:
                    transaction.save(self._settings(_CLOSING, new.mailing_id))
                self._totals.move(transaction, old, new)
                if new.segment != old.segment:
                    claim(transaction, self._settings, new)
                self._audit.note(transaction, mailing_act(old, new), new.updated_at)

        with translated("mailings"):
            return not transact(self._backoff, run) or self._is_ours(new)

    def _is_ours(self, new: Mailing) -> bool:
        """Whether the row is as we wrote it: then the answer to our first try was lost and the repeat was refused."""
        rows = list(self._model.query(new.mailing_id, self._model.part == META, consistent_read=True))
        return bool(rows) and rows[0].status != DELETED and mailing_of(rows[0]) == new

    def mark_deleted(self, mailing: Mailing) -> bool:
        """Mark a mailing as deleted, which hides it until `purge` removes its parts. Returns False as `change` does."""

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.update(
                    self._model(mailing.mailing_id, META),
                    # The next revision, so that nobody who read the mailing before can bring it back.
                    actions=[
                        self._model.status.set(DELETED),
                        self._model.kind.remove(),
                        self._model.revision.set(mailing.revision + 1),
                    ],
                    condition=self._model.revision == mailing.revision,
                )
                self._totals.move(transaction, mailing, None)
                self._audit.note(transaction, mailing_act(mailing, None))

        with translated("mailings"):
            return not transact(self._backoff, run) or self.is_deleted(mailing.mailing_id)

    def is_deleted(self, mailing_id: str) -> bool:
        """Whether the mailing is marked as deleted."""
        with translated("mailings"):
            rows = self._model.query(mailing_id, self._model.part == META, consistent_read=True)
            return any(row.status == DELETED for row in rows)

    def file_of_deleted(self, mailing_id: str) -> str:
        """The file of recipients that belongs to a deleted mailing, "" if it has none."""
        with translated("mailings"):
            rows = list(self._model.query(mailing_id, self._model.part == META, consistent_read=True))
        file_id = rows[0].recipients or "" if rows else ""
        return file_id if file_id and owner_of(self._settings, file_id) == mailing_id else ""

    def deleted(self, limit: int) -> Sequence[str]:
        """Ids of mailings that are marked as deleted."""
        with translated("mailings"):
            return [row.mailing_id for row in self._model.query(DELETED, index_name="by_status", limit=limit)]

    def purge(self, mailing_id: str) -> None:
        """Remove every part of a deleted mailing."""
        with translated("mailings"):
            for row in sorted(self._model.query(mailing_id, consistent_read=True), key=lambda row: row.part == META):
                row.delete()  # META last, so that the mark stays until then

    # -- counts

    def totals(self) -> dict[str, int]:
        """How many mailings there are of each status."""
        with translated("mailings"):
            return self._totals.by_status()

    def totals_with_messages(self) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
        """The same, and how many messages ended mailings have, by the status of the mailing and of the message."""
        with translated("mailings"):
            return self._totals.with_messages()

    def add_counts(self, mailing_id: str, changes: Counter[str], now: datetime, mark: Mark | None = None) -> None:
        """Add to the counters, once, even if an answer is lost and botocore repeats the call.

        See `MailingCounterRepository.add` for the mark.
        """
        self._counts.add(mailing_id, changes, now, mark)

    def mark(self) -> Mark:
        """The mark of this thread's next addition, for another one that makes it."""
        return self._counts.mark()

    def align_counts(self, state: MailingState, now: datetime) -> None:
        """Set the running counts of an ended mailing to its final ones, so that it can continue from them."""
        if state.mailing.final:
            self._counts.align(state, self._parts(state.mailing.mailing_id), now)

    # -- cancelled mailings whose ledger is not closed yet

    def closing(self, limit: int) -> Sequence[str]:
        """Ids of cancelled mailings that may have open rows."""
        with translated("mailings"):
            return [item.name for item in self._settings.query(_CLOSING, limit=limit)]

    def closed(self, mailing_id: str) -> None:
        """Note that every row of a cancelled mailing is final."""
        with translated("mailings"):
            self._settings(_CLOSING, mailing_id).delete()
