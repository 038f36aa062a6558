"""Moves the messages of earlier versions, which are rows of the table `…-messages`, into the buckets of `…-ledger`.

    python -m infra.move_ledger

Until a mailing is moved, the service does not touch its messages. `make run` and `make deploy` move all of them. Moving
may be stopped and repeated at any time. The old table is not changed, and may be deleted when everything is moved.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.aws_clients import aws_client
from chalicelib.config import Settings
from chalicelib.domain.buckets import Division
from chalicelib.domain.client_ids import SHARD_COUNT, SHARDS
from chalicelib.domain.messages import Attempt, Message, Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.domain.statuses import MessageStatus
from chalicelib.storage.bucket_rows import Bucket, Place
from chalicelib.storage.dynamodb import Item
from chalicelib.storage.ledger_layout import expiry_of
from chalicelib.storage.mailing_rows import KIND, META
from chalicelib.storage.moments import from_ms
from chalicelib.storage.tables import Tables, bind

Say = Callable[[str], None]


def move(settings: Settings, dynamodb: Any, tell: Say) -> int:
    """Move the ledgers of all mailings that were launched by an earlier version. Returns the number of messages.

    `tell` is called for each mailing. Raises ClientError if DynamoDB refuses something.
    """
    old_table = f"{settings.resource_prefix}-messages"
    try:
        dynamodb.describe_table(TableName=old_table)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return 0
    tables, moved = bind(settings, dynamodb), 0
    for meta in _unmoved(settings, dynamodb):
        mailing_id = meta["mailing_id"]["S"]
        rows = list(_rows(dynamodb, old_table, mailing_id))
        division = Division.among(len(rows), SHARD_COUNT)  # as many as it was launched with
        expires_at = expiry_of(meta, timedelta(days=settings.retain_days))
        _write(tables, mailing_id, rows, division, expires_at)
        _mark(settings, dynamodb, mailing_id, division)
        moved += len(rows)
        tell(f"moved the {len(rows)} messages of mailing {mailing_id}")
    return moved


def _unmoved(settings: Settings, dynamodb: Any) -> list[Item]:
    pages = dynamodb.get_paginator("query").paginate(
        TableName=settings.mailings_table,
        IndexName="by_age",
        KeyConditionExpression="kind = :kind",
        FilterExpression="attribute_exists(launched_at) AND attribute_not_exists(buckets)",
        ExpressionAttributeValues={":kind": {"S": KIND}},
    )
    return [item for page in pages for item in page["Items"]]


def _rows(dynamodb: Any, table: str, mailing_id: str) -> Iterator[Message]:
    for shard in SHARDS:
        pages = dynamodb.get_paginator("query").paginate(
            TableName=table,
            ConsistentRead=True,
            KeyConditionExpression="ledger_key = :key",
            ExpressionAttributeValues={":key": {"S": f"{mailing_id}#{shard}"}},
        )
        yield from (message_of(item) for page in pages for item in page["Items"])


def _write(tables: Tables, mailing_id: str, rows: list[Message], division: Division, expires_at: int) -> None:
    by_place: defaultdict[Place, list[Message]] = defaultdict(list)
    for row in rows:
        by_place[Place(mailing_id, division.shard_of(row.client_id), division.bucket_of(row.client_id))].append(row)
    with tables.ledger.batch_write() as batch:
        for place, messages in by_place.items():
            bucket = Bucket(place, {}).changed(messages, expires_at)
            batch.save(tables.ledger.from_raw_data(place.key | bucket.values))


def _mark(settings: Settings, dynamodb: Any, mailing_id: str, division: Division) -> None:
    dynamodb.update_item(
        TableName=settings.mailings_table,
        Key={"mailing_id": {"S": mailing_id}, "part": {"S": META}},
        UpdateExpression="SET buckets = :buckets",
        ConditionExpression="attribute_exists(mailing_id)",
        ExpressionAttributeValues={":buckets": {"N": str(division.buckets)}},
    )


def message_of(item: Item) -> Message:
    """The message of a row in the old table."""

    def moment(name: str) -> datetime | None:
        return from_ms(float(item[name]["N"])) if name in item else None

    def text(name: str) -> str:
        return str(item[name]["S"]) if name in item else ""

    return Message(
        mailing_id=item["ledger_key"]["S"].partition("#")[0],
        client_id=item["client_id"]["S"],
        phone_number=item["phone_number"]["S"],
        timezone=item["timezone"]["S"],
        status=MessageStatus(item["status"]["S"]),
        revision=int(item["revision"]["N"]),
        created_at=from_ms(float(item["created_at"]["N"])),
        updated_at=from_ms(float(item["updated_at"]["N"])),
        attempts=tuple(_attempt(value["M"]) for value in item["attempts"]["L"]) if "attempts" in item else (),
        hinted="hinted" in item,
        claim=text("claim"),
        lease_until=moment("lease_until"),
        retry_at=moment("retry_at"),
        due_at=moment("due_at"),
        sent_at=moment("sent_at"),
        cause=Cause.parse(text("reason")),
        forgiven=int(item["forgiven"]["N"]) if "forgiven" in item else 0,
    )


def _attempt(row: Item) -> Attempt:
    return Attempt(
        at=from_ms(float(row["at"]["N"])),
        duration_ms=int(row["ms"]["N"]),
        outcome=Outcome(row["outcome"]["S"]),
        cause=Cause.parse(row["reason"]["S"]) if "reason" in row else None,
        http_status=int(row["http"]["N"]) if "http" in row else None,
    )


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


def main() -> int:
    """Move all messages, and print how many."""
    settings = Settings.from_environment()
    moved = move(settings, aws_client("dynamodb"), say)
    say(f"{moved} messages moved")
    return 0


if __name__ == "__main__":
    sys.exit(main())
