"""Clients without botocore's walk through every value: what they say and hear is what botocore's own would."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError

from chalicelib.aws_clients import aws_client

KEY = {"ledger_key": {"S": "m#03"}, "client_id": {"S": "й"}}
ITEM = {**KEY, "revision": {"N": "7"}, "hinted": {"BOOL": True}, "attempts": {"L": [{"M": {"at": {"N": "1"}}}]}}
METADATA = {"RequestId": "one", "HTTPStatusCode": 200, "HTTPHeaders": {"x-amzn-requestid": "one"}, "RetryAttempts": 0}

# Every operation that goes through these clients, with what it is asked and what it answers.
CALLS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "dynamodb",
        "batch_execute_statement",
        {"Statements": [{"Statement": "UPDATE t SET a = ?", "Parameters": [{"S": "x"}, {"L": [{"M": ITEM}]}]}]},
        {"Responses": [{"TableName": "t"}, {"Error": {"Code": "DuplicateItem", "Message": "there"}}]},
    ),
    (
        "dynamodb",
        "batch_get_item",
        {"RequestItems": {"t": {"Keys": [KEY], "ConsistentRead": True}}},
        {"Responses": {"t": [ITEM]}, "UnprocessedKeys": {"t": {"Keys": [KEY]}}},
    ),
    (
        "dynamodb",
        "query",
        {
            "TableName": "t",
            "KeyConditionExpression": "k = :k",
            "ExpressionAttributeValues": {":k": {"S": "x"}},
            "Limit": 5,
        },
        {"Items": [ITEM], "Count": 1, "ScannedCount": 1, "LastEvaluatedKey": KEY},
    ),
    ("dynamodb", "update_item", {"TableName": "t", "Key": KEY, "UpdateExpression": "ADD n :n"}, {"Attributes": ITEM}),
    ("sqs", "get_queue_url", {"QueueName": "q"}, {"QueueUrl": "https://q"}),
    (
        "sqs",
        "send_message_batch",
        {"QueueUrl": "https://q", "Entries": [{"Id": "0", "MessageBody": '{"a":"й"}', "DelaySeconds": 3}]},
        {"Successful": [{"Id": "0", "MessageId": "m", "MD5OfMessageBody": "d"}], "Failed": []},
    ),
    (
        "sqs",
        "receive_message",
        {"QueueUrl": "https://q", "MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["SentTimestamp"]},
        {"Messages": [{"MessageId": "m", "ReceiptHandle": "r", "Body": "b", "Attributes": {"SentTimestamp": "1"}}]},
    ),
    (
        "sqs",
        "change_message_visibility_batch",
        {"QueueUrl": "https://q", "Entries": [{"Id": "0", "ReceiptHandle": "r", "VisibilityTimeout": 5}]},
        {"Failed": [{"Id": "0", "SenderFault": True, "Code": "InvalidParameterValue", "Message": "no"}]},
    ),
    (
        "sqs",
        "get_queue_attributes",
        {"QueueUrl": "https://q", "AttributeNames": ["ApproximateNumberOfMessages"]},
        {"Attributes": {"ApproximateNumberOfMessages": "3"}},
    ),
]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def _heard(client: Any, operation: str, asked: dict[str, Any], body: bytes, status: int = 200) -> tuple[Any, Any]:
    """What the client sends, and what it makes of an answer."""
    sent: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        sent.append(request)
        response = AWSResponse(request.url, status, {"x-amzn-requestid": "one"}, None)
        response._content = body
        return response

    client.meta.events.register("before-send", answer)
    got = getattr(client, operation)(**asked)
    (request,) = sent
    headers = {name: _text(request.headers[name]) for name in ("X-Amz-Target", "Content-Type")}
    return (request.method, request.url, headers, json.loads(request.body)), got


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


@pytest.mark.parametrize(("service", "operation", "asked", "answered"), CALLS, ids=lambda value: str(value)[:30])
def test_a_call_is_that_of_botocore(
    service: str, operation: str, asked: dict[str, Any], answered: dict[str, Any]
) -> None:
    body = json.dumps(answered).encode()
    usual = _heard(botocore.session.get_session().create_client(service), operation, asked, body)

    assert _heard(aws_client(service), operation, asked, body) == usual
    assert usual[1] == {**answered, "ResponseMetadata": METADATA}


def test_an_error_is_that_of_botocore() -> None:
    body = json.dumps({"__type": "com.amazonaws#ResourceNotFoundException", "message": "no table"}).encode()
    said = []
    for client in (aws_client("dynamodb"), botocore.session.get_session().create_client("dynamodb")):
        with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
            _heard(client, "query", {"TableName": "t"}, body, 400)
        assert isinstance(caught.value, ClientError)
        said.append((str(caught.value), caught.value.response["Error"]))

    assert said[0] == said[1]


def test_what_json_does_not_know_is_no_call() -> None:
    with pytest.raises(TypeError):
        _heard(aws_client("dynamodb"), "put_item", {"TableName": "t", "Item": {"b": {"B": b"x"}}}, b"{}")


def test_a_transaction_has_a_token_by_which_its_repetition_is_known() -> None:
    """Expects one for each call, as botocore gives it, unless the caller has given one."""
    put = {"Put": {"TableName": "t", "Item": KEY}}
    sent = [
        _heard(aws_client("dynamodb"), "transact_write_items", {"TransactItems": [put], **more}, b"{}")[0][-1]
        for more in ({}, {}, {"ClientRequestToken": "mine"})
    ]
    first, second, given = (one["ClientRequestToken"] for one in sent)
    assert len({first, second, given}) == 3
    assert given == "mine"
