"""SQS batches as events of Lambda's event source mapping, and how the function's answer is read."""

from __future__ import annotations

import json
from typing import Any

Message = dict[str, Any]


class MalformedAnswerError(Exception):
    """Lambda does not accept the answer, so the whole batch counts as failed."""


def sqs_event(messages: list[Message], queue_arn: str) -> dict[str, list[dict[str, Any]]]:
    """The event of one invocation, from the answer of ReceiveMessage."""
    region = queue_arn.split(":")[3]
    return {"Records": [_record(message, queue_arn, region) for message in messages]}


def failed_ids(answer: object, messages: list[Message]) -> set[str]:
    """The ids of messages that stay in the queue, with ReportBatchItemFailures on.

    Raises MalformedAnswerError if all do.
    """
    if answer is None or answer == {}:
        return set()
    if not isinstance(answer, dict):
        raise MalformedAnswerError(f"answered {type(answer).__name__}, not an object")
    _check_json(answer)
    failures = answer.get("batchItemFailures")
    if failures is None:
        return set()
    if not isinstance(failures, list):
        raise MalformedAnswerError("batchItemFailures is no list")
    known = {message["MessageId"] for message in messages}
    failed: set[str] = set()
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        if not isinstance(identifier, str) or identifier not in known:
            raise MalformedAnswerError(f"no message of this batch: {failure!r}")
        failed.add(identifier)
    return failed


def _check_json(answer: dict[Any, Any]) -> None:
    """Raises MalformedAnswerError if the answer cannot be sent as JSON, which fails the invocation."""
    try:
        json.dumps(answer)
    except (TypeError, ValueError) as error:
        raise MalformedAnswerError(f"not JSON: {error}") from error


def _record(message: Message, queue_arn: str, region: str) -> dict[str, Any]:
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()},
        "md5OfBody": message.get("MD5OfBody", ""),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    }
    if "MD5OfMessageAttributes" in message:
        record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return record


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    attribute = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if "StringValue" in value:
        attribute["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        attribute["binaryValue"] = value["BinaryValue"]
    return attribute
