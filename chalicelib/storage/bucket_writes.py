"""Writing buckets: each write requires that nobody has changed the bucket since it was read, else it is repeated.

Writes go in batches of PartiQL: each statement has its own condition and answer and costs as much as a single write. A
transaction would cost twice as much and fail as a whole.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from functools import lru_cache
from operator import attrgetter
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ..clock import Backoff
from ..domain.errors import Unavailable
from ..domain.messages import Message
from ..observability import logger
from .bucket_rows import Bucket, Place, write_units
from .dynamodb import TRANSIENT, Item
from .ledger_layout import Layout, LedgerLayouts, place_of
from .older_attempts import apart

# How often a write is tried if the table is busy; botocore repeats each call too. Claims give up early, dispatch even
# earlier, so that the load goes down when a table is too slow.
UPDATE_TRIES, INSERT_TRIES = 3, 2
_CONFLICTS = 10  # in a row for one bucket; each means that somebody else's write succeeded
_NO_ANSWER = "no answer"
_UNTOLD = frozenset({_NO_ANSWER, "InternalServerError", "InternalServerErrorException"})
_REFUSALS = frozenset({"ConditionalCheckFailed", "DuplicateItem"})
_all_else = attrgetter(*(one.name for one in fields(Message) if one.name != "delivery"))
_STATEMENTS = 25  # BatchExecuteStatement takes no more
_KEPT = 2000  # buckets that are remembered as last seen
Read = Callable[[Iterable[Place]], dict[Place, Bucket]]
Change = tuple[Message | None, Message]


class Written(Enum):
    """The result of one change; true if it is in the ledger now.

    busy: the table did not take it, but may later. unsure: it is not known at the moment.
    """

    DONE = "done"
    REFUSED = "refused"
    BUSY = "busy"
    UNSURE = "unsure"

    def __bool__(self) -> bool:
        return self is Written.DONE


@dataclass(slots=True)
class Applied:
    """The results of changes, in their order, and the write units that they took, by mailing."""

    written: list[Written]
    units: Counter[str] = field(default_factory=Counter)


class BucketWrites:
    """Writes changes of messages, bucket by bucket. May be used by several threads at once."""

    def __init__(self, table: str, dynamodb: Any, backoff: Backoff, layouts: LedgerLayouts, read: Read) -> None:
        self._table = table
        self._dynamodb = dynamodb
        self._backoff = backoff
        self._layouts = layouts
        self._read = read
        # A sender writes a bucket again right after its calls, mostly unchanged by others, so it need not be read
        # again.
        self._seen: OrderedDict[Place, Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, buckets: Iterable[Bucket]) -> None:
        """Remember buckets that were just read."""
        with self._lock:
            for bucket in buckets:
                known = self._seen.get(bucket.place)
                if known is None or known.revision <= bucket.revision:
                    self._seen[bucket.place] = bucket
                    self._seen.move_to_end(bucket.place)
            while len(self._seen) > _KEPT:
                self._seen.popitem(last=False)

    def _forget(self, place: Place) -> None:
        with self._lock:
            self._seen.pop(place, None)

    def insert(self, messages: Sequence[Message], tries: int) -> list[bool]:
        """Insert messages.

        Returns False for each that existed already. Raises Unavailable if not all could be inserted.
        """
        written = self._apply([(None, message) for message in messages], tries, None).written
        if any(one in (Written.BUSY, Written.UNSURE) for one in written):
            raise Unavailable("messages: DynamoDB is too busy")
        return [one is Written.DONE for one in written]

    def update(self, changes: Sequence[tuple[Message, Message]], tries: int, until: datetime | None) -> Applied:
        """Replace the first of each pair by the second; see `Ledger.update`."""
        if any(new.revision != old.revision + (not _is_receipt(old, new)) for old, new in changes):
            raise ValueError("a change must carry the next revision")
        return self._apply(changes, tries, until)

    def _apply(self, changes: Sequence[Change], tries: int, until: datetime | None) -> Applied:
        """Write round by round until all are written or refused; the result of one is not lost because of another."""
        job: _Job | None = None
        tries_made = 0
        while job is None or job.left:
            try:
                job = job or _Job(changes, self._layouts.of((new.mailing_id for _, new in changes), fresh=True))
                busy = self._round(job)
            except Unavailable:
                busy = True
            if not busy:
                continue
            tries_made += 1
            if tries_made >= tries if until is None else self._backoff.clock.now() >= until:
                break
            self._backoff.wait(tries_made)
        if job is None:
            return Applied([Written.BUSY] * len(changes))
        self._read_back(job)
        return job.applied

    def _round(self, job: _Job) -> bool:
        """Write what is left once. Returns whether the table was too busy for some of it.

        Raises Unavailable if a necessary read fails.
        """
        missing = [place for place in job.left if job.must_be_read(place) and place not in self._seen]
        found = self._read(missing) if missing else {}
        job.fresh.update(missing)
        writes = []
        for place in list(job.left):
            known = found.get(place) or self._seen.get(place) or Bucket(place, {})
            if job.is_stale(known):
                self._forget(place)
                continue
            if new := job.settle(known):
                writes.append((known, *apart(known, new)))
        busy = self._write_older(job, writes)
        for start in range(0, len(writes), _STATEMENTS):
            some = [(old, new) for old, new, _ in writes[start : start + _STATEMENTS]]
            codes = self._codes([_statement(self._table, *one) for one in some])
            for (old, new), code in zip(some, codes, strict=True):
                busy |= self._learn(job, old, new, code)
        return busy

    def _write_older(self, job: _Job, writes: list[tuple[Bucket, Bucket, Item | None]]) -> bool:
        """Write older attempts, and remove buckets whose older attempts could not be written from `writes`.

        Returns whether there were any.
        """
        those = [(new, item) for _, new, item in writes if item]
        failed: set[Place] = set()
        for start in range(0, len(those), _STATEMENTS):
            some = those[start : start + _STATEMENTS]
            codes = self._codes([_insert(self._table, item) for _, item in some])
            for (new, item), code in zip(some, codes, strict=True):
                if code is None:
                    job.applied.units[new.place.mailing_id] += write_units(None, item)
                elif code not in _REFUSALS:  # which mean that it exists: a number belongs to one content only
                    failed.add(new.place)
                    job.undecided(new.place, unsure=False)
        writes[:] = [one for one in writes if one[1].place not in failed]
        return bool(failed)

    def _learn(self, job: _Job, old: Bucket, new: Bucket, code: str | None) -> bool:
        """Note the result of a statement. Returns whether the table was too busy for it."""
        if code is None:
            job.done(old, new)
            self.note([new])
            return False
        if code in _REFUSALS or code in _UNTOLD:
            self._forget(new.place)
        if code in _REFUSALS:
            return job.conflict(new.place)
        if code in TRANSIENT or code == _NO_ANSWER:
            job.undecided(new.place, unsure=code in _UNTOLD)
            return True
        logger.error("a write to the ledger was refused", code=code)
        del job.left[new.place]
        return False

    def _read_back(self, job: _Job) -> None:
        """Find out whether writes without an answer were carried out."""
        if places := [place for place in job.left if place in job.unsure]:
            try:
                found = self._read(places)
            except Unavailable:
                return
            for place in places:
                job.settle(found.get(place) or Bucket(place, {}))

    def _codes(self, statements: list[dict[str, Any]]) -> list[str | None]:
        """The error code for each of up to 25 statements, None for those that were carried out."""
        try:
            answer = self._dynamodb.batch_execute_statement(Statements=statements)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            return [code if code in TRANSIENT else _NO_ANSWER] * len(statements)
        except BotoCoreError:
            return [_NO_ANSWER] * len(statements)
        codes: list[str | None] = [response.get("Error", {}).get("Code") for response in answer["Responses"]]
        return codes


class _Job:
    """Changes in progress: those that are left, by bucket, and the results of the others."""

    def __init__(self, changes: Sequence[Change], layouts: Mapping[str, Layout]) -> None:
        self._changes = changes
        self._layouts = layouts
        self.applied = Applied([Written.BUSY] * len(changes))
        self.left: dict[Place, list[int]] = {}
        for number, (_, new) in enumerate(changes):
            self.left.setdefault(place_of(new.mailing_id, new.client_id, layouts[new.mailing_id]), []).append(number)
        self.fresh: set[Place] = set()  # read for this job, so that a missing bucket does not exist
        self.unsure: set[Place] = set()
        self._conflicts: Counter[Place] = Counter()

    def must_be_read(self, place: Place) -> bool:
        """Whether the bucket must be read before it is written; new messages mostly go into a new one."""
        return bool(self._conflicts[place] or place in self.unsure or self._changes[self.left[place][0]][0])

    def is_stale(self, bucket: Bucket) -> bool:
        """Whether a remembered bucket is older than the messages to change."""
        if bucket.place in self.fresh:
            return False
        pairs = [self._changes[number] for number in self.left[bucket.place]]
        known = [(old, bucket.messages.get(new.client_id)) for old, new in pairs if old is not None]
        return any(old and (now is None or now.revision < old.revision) for old, now in known)

    def settle(self, bucket: Bucket) -> Bucket | None:
        """Settle changes that the bucket decides already.

        Returns the bucket with the remaining changes, if there are any.
        """
        news: list[Message] = []
        waiting: list[int] = []
        for number in self.left[bucket.place]:
            old, new = self._changes[number]
            now = bucket.messages.get(new.client_id)
            told = _decided(now, old, new)
            if told is not None:
                self.applied.written[number] = told
            else:
                waiting.append(number)
                news.append(new)
        if not waiting:
            del self.left[bucket.place]
            return None
        self.left[bucket.place] = waiting
        return bucket.changed(news, self._layouts[bucket.place.mailing_id].expires_at)

    def done(self, old: Bucket, new: Bucket) -> None:
        """The statement of a bucket was carried out."""
        before = old.values if old.revision else None
        self.applied.units[new.place.mailing_id] += write_units(before, new.values)
        for number in self.left.pop(new.place):
            self.applied.written[number] = Written.DONE

    def conflict(self, place: Place) -> bool:
        """Note that somebody else has changed the bucket. Returns whether that happened too often."""
        self._conflicts[place] += 1
        return self._conflicts[place] % _CONFLICTS == 0

    def undecided(self, place: Place, *, unsure: bool) -> None:
        """Note that the table was too busy or gave no answer; an earlier try may still have been carried out."""
        if unsure:
            self.unsure.add(place)
        if place in self.unsure:
            for number in self.left[place]:
                self.applied.written[number] = Written.UNSURE


def _decided(now: Message | None, old: Message | None, new: Message) -> Written | None:
    """The result of a change if the message's current state decides it already, None if the change may be made."""
    if now is None or old is None:
        return None if now is old else Written.REFUSED
    if _is_receipt(old, new):
        if now.revision == old.revision and now.delivery == new.delivery:
            return Written.DONE
    elif (now.revision, now.claim, now.status) == (new.revision, new.claim, new.status):
        return Written.DONE
    unlike = now.revision != old.revision or (new.delivery != old.delivery != now.delivery)
    return Written.REFUSED if unlike else None


def _is_receipt(old: Message, new: Message) -> bool:
    """Whether a change only adds the delivery of a sent message. It does not change the revision."""
    return new.delivery is not old.delivery and new.revision == old.revision and _all_else(old) == _all_else(new)


@lru_cache(maxsize=64)
def _insert_text(table: str, names: tuple[str, ...]) -> str:
    return f'INSERT INTO "{table}" VALUE {{{", ".join(f"{name!r}: ?" for name in names)}}}'


@lru_cache(maxsize=256)
def _update_text(table: str, changed: tuple[str, ...], removed: tuple[str, ...]) -> str:
    parts = [f'SET "{name}" = ?' for name in changed] + [f'REMOVE "{name}"' for name in removed]
    where = "WHERE ledger_key = ? AND bucket_no = ? AND revision = ?"
    return f'UPDATE "{table}" {" ".join(parts)} {where}'


def _insert(table: str, values: Item) -> dict[str, Any]:
    return {"Statement": _insert_text(table, tuple(values)), "Parameters": list(values.values())}


def _statement(table: str, old: Bucket, new: Bucket) -> dict[str, Any]:
    key, after = new.place.key, new.values
    if not old.revision:
        return _insert(table, key | after)
    before = old.values
    changed = tuple(name for name, value in after.items() if before.get(name) != value)
    removed = tuple(name for name in before if name not in after)
    parameters = [*(after[name] for name in changed), *key.values(), before["revision"]]
    return {"Statement": _update_text(table, changed, removed), "Parameters": parameters}
