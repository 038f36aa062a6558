"""What the log says of a batch: one record for each mailing, since one for each message would cost too much."""

from __future__ import annotations

from collections import defaultdict

from ...domain.messages import Attempt, Message
from ...observability import logger
from .batch import Batch

Entry = dict[str, str | int]


def tell(batch: Batch, size: int) -> None:
    """Tell what came of a batch for so many messages: every attempt, and every change of state."""
    by_mailing: defaultdict[str, list[Entry]] = defaultdict(list)
    for message, attempt in batch.told:
        by_mailing[message.mailing_id].append(_entry(message, attempt))
    for mailing_id, entries in by_mailing.items():
        logger.info("messages delivered", mailing_id=mailing_id, size=size, kept=len(batch.kept), messages=entries)


def _entry(message: Message, attempt: Attempt | None) -> Entry:
    entry: Entry = {
        "message_id": message.message_id,
        "client_id": message.client_id,
        "status": message.status.value,
    }
    if attempt is not None:
        entry["attempt"] = len(message.attempts)
        entry["at"] = attempt.at.isoformat(timespec="milliseconds")
        entry["duration_ms"] = attempt.duration_ms
        entry["outcome"] = attempt.outcome.value
        if attempt.http_status is not None:
            entry["http_status"] = attempt.http_status
    if message.cause is not None:
        entry.update(message.cause.logged)
    if message.due_at is not None:
        entry["due_at"] = message.due_at.isoformat(timespec="milliseconds")
    return entry
