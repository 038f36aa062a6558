"""The event that a function gets for a batch, and how its answer is read: Lambda's rules for partial failures."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.batches import MalformedAnswerError, failed_ids, sqs_event

ARN = "arn:aws:sqs:eu-west-1:123456789012:send"


def _message(name: str, **more: Any) -> dict[str, Any]:
    return {
        "MessageId": name,
        "ReceiptHandle": f"handle-{name}",
        "Body": f"body-{name}",
        "MD5OfBody": "0",
        "Attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1"},
        **more,
    }


BATCH = [_message("a"), _message("b"), _message("c")]


def test_a_record_looks_like_lambdas() -> None:
    """Expects Lambda's names and the queue's own values."""
    attributes = {"kind": {"DataType": "String", "StringValue": "x"}}
    [record] = sqs_event([_message("a", MessageAttributes=attributes)], ARN)["Records"]
    assert record == {
        "messageId": "a",
        "receiptHandle": "handle-a",
        "body": "body-a",
        "attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1"},
        "messageAttributes": {
            "kind": {"stringValue": "x", "stringListValues": [], "binaryListValues": [], "dataType": "String"}
        },
        "md5OfBody": "0",
        "eventSource": "aws:sqs",
        "eventSourceARN": ARN,
        "awsRegion": "eu-west-1",
    }


@pytest.mark.parametrize(
    "answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, {"statusCode": 200}]
)
def test_no_failures_means_that_all_is_done(answer: object) -> None:
    """Expects every way to say nothing failed to be understood."""
    assert failed_ids(answer, BATCH) == set()


def test_only_the_listed_messages_failed() -> None:
    """Expects exactly the named ids."""
    answer = {"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "b"}, {"itemIdentifier": "c"}]}
    assert failed_ids(answer, BATCH) == {"b", "c"}


@pytest.mark.parametrize(
    "answer",
    [
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "unknown"}]},
        {"batchItemFailures": [{"identifier": "b"}]},
        {"batchItemFailures": ["b"]},
        {"batchItemFailures": "b"},
        {"batchItemFailures": [{"itemIdentifier": ["b"]}]},
        {"result": object()},
        "done",
        ["b"],
        True,
    ],
)
def test_an_answer_that_lambda_refuses_is_malformed(answer: object) -> None:
    """Expects the whole batch to count as failed rather than messages to be lost."""
    with pytest.raises(MalformedAnswerError):
        failed_ids(answer, BATCH)
