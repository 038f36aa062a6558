"""The audit log: what users did, and to what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

KEPT_FOR = timedelta(days=730)
MOST_CHARACTERS = 1000  # of a value that is kept
MOST_CHANGES = 40  # of one act: an item of DynamoDB has 400 KB

Value = str | int | bool | list[str] | None


class AuditAction(StrEnum):
    """What was done."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    SCHEDULED = "scheduled"
    LAUNCHED = "launched"
    PAUSED = "paused"
    RESUMED = "resumed"
    CANCELLED = "cancelled"
    RETRIED = "retried"
    DISCARDED = "discarded"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    IMPORTED = "imported"
    EXPORTED = "exported"
    SENT = "sent"  # a test message, or the daily report
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"  # by revoking one token, or all


class AuditObject(StrEnum):
    """What it was done to."""

    MAILING = "mailing"
    CLIENT = "client"
    CLIENTS = "clients"  # many of them, as by an import or an export
    TEMPLATE = "template"
    SEGMENT = "segment"
    PRICES = "prices"
    GATEWAY = "gateway"
    FAILED_MESSAGES = "failed_messages"
    REPORT = "report"
    USER = "user"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Change:
    """A field that got another value. Both values are None if they must not be kept, such as those of a password."""

    field: str
    old: Value
    new: Value


@dataclass(frozen=True, slots=True)
class Act:
    """What a user did. `object_id` is "" if there is only one such object; `name` is what people call it.

    `count` is how many messages or rows it was about, None if there is nothing to count.
    """

    action: AuditAction
    object: AuditObject
    object_id: str = ""
    name: str = ""
    changes: tuple[Change, ...] = ()
    count: int | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An act as it stands in the log, with the user who did it and when."""

    entry_id: str
    at: datetime
    by: str
    act: Act


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted: an entry must match every part that is given. `since` is inclusive, `until` is not."""

    by: str = ""
    action: AuditAction | None = None
    object: AuditObject | None = None
    object_id: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, entry: AuditEntry) -> bool:
        """Whether an entry is wanted, apart from its time."""
        act = entry.act
        return (
            self.by in ("", entry.by)
            and self.action in (None, act.action)
            and self.object in (None, act.object)
            and self.object_id in ("", act.object_id)
        )


def differences(old: dict[str, Value], new: dict[str, Value]) -> Iterator[Change]:
    """The fields whose values differ: at most MOST_CHANGES of them, with values cut to MOST_CHARACTERS."""
    fields = (field for field in dict.fromkeys([*old, *new]) if old.get(field) != new.get(field))
    for field in islice(fields, MOST_CHANGES):
        yield Change(field, _cut(old.get(field)), _cut(new.get(field)))


def _cut(value: Value) -> Value:
    if isinstance(value, str) and len(value) > MOST_CHARACTERS:
        return f"{value[:MOST_CHARACTERS]}…"
    return value
