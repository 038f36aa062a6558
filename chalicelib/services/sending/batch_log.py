"""What the log says of a batch: one record for each mailing, since one for each message would cost too much.

Accepted messages are only counted in it: the ledger has them, and naming each would take 200 bytes of log.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from ...domain.messages import Attempt, Message
from ...domain.statuses import MessageStatus
from ...observability import logger
from .batch import Batch

Entry = dict[str, str | int]


def log_batch(batch: Batch, size: int, names_accepted: bool) -> None:
    """Log the results of a batch of so many messages: every attempt and every change of status.

    Sent messages are only counted, unless `names_accepted`.
    """
    by_mailing: defaultdict[str, list[Entry]] = defaultdict(list)
    accepted: Counter[str] = Counter()
    for message, attempt in batch.told:
        accepted[message.mailing_id] += message.status is MessageStatus.SENT
        entries = by_mailing[message.mailing_id]
        if names_accepted or message.status is not MessageStatus.SENT:
            entries.append(_entry(message, attempt))
    for mailing_id, entries in by_mailing.items():
        record: dict[str, object] = {"mailing_id": mailing_id, "size": size, "kept": len(batch.kept)}
        record["accepted"] = accepted[mailing_id]
        if entries:
            record["messages"] = entries
        logger.info("messages delivered", extra=record)


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
