"""Provisioning from the one template: complete, repeatable, and it corrects differences without touching data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chalicelib.config import Settings
from chalicelib.domain.attributes import attributes_of
from chalicelib.storage.client_rows import row_of
from chalicelib.storage.models import ClientModel
from infra.provision import provision, resources
from tests.factories import ClientFactory

SETTINGS = Settings(resource_prefix="msg-test")


@pytest.fixture
def clients() -> Iterator[tuple[Any, Any]]:
    with mock_aws():
        yield (
            boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="t", aws_secret_access_key="t"),
            boto3.client("sqs", region_name="eu-west-1", aws_access_key_id="t", aws_secret_access_key="t"),
        )


def _attributes(sqs: Any, name: str) -> dict[str, str]:
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    answer: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return answer


def _indexes(dynamodb: Any, name: str) -> set[str]:
    table = dynamodb.describe_table(TableName=name)["Table"]
    return {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}


def test_names_are_resolved_with_the_prefix() -> None:
    """Expects every name in the template to begin with the prefix, and no intrinsic left in a name."""
    defined = resources("abc")
    names = [one["Properties"].get("TableName") or one["Properties"].get("QueueName") for one in defined.values()]
    assert len(names) >= 9
    assert all(name.startswith("abc-") for name in names)


def test_everything_of_the_template_is_created(clients: tuple[Any, Any]) -> None:
    """Expects tables with their indexes and TTL, and queues with visibility and redrive."""
    dynamodb, sqs = clients
    provision(SETTINGS, dynamodb, sqs)
    defined = resources("msg-test")
    tables = [one["Properties"] for one in defined.values() if one["Type"] == "AWS::DynamoDB::Table"]
    assert set(dynamodb.list_tables()["TableNames"]) == {table["TableName"] for table in tables}
    for table in tables:
        wanted = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
        assert _indexes(dynamodb, table["TableName"]) == wanted
    users = dynamodb.describe_time_to_live(TableName="msg-test-users")["TimeToLiveDescription"]
    assert users == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
    backups = dynamodb.describe_continuous_backups(TableName="msg-test-ledger")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    send = _attributes(sqs, "msg-test-send")
    assert send["VisibilityTimeout"] == str(defined["SendQueue"]["Properties"]["VisibilityTimeout"])
    redrive = json.loads(send["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == _attributes(sqs, "msg-test-send-dead")["QueueArn"]
    assert int(redrive["maxReceiveCount"]) == 20


def test_provisioning_again_changes_nothing(clients: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Expects only calls that read if everything exists, and the data kept."""
    dynamodb, sqs = clients
    provision(SETTINGS, dynamodb, sqs)
    dynamodb.put_item(TableName="msg-test-clients", Item={"client_id": {"S": "one"}})
    written: list[str] = []
    for client in clients:
        client.meta.events.register("before-call", lambda model, **_: written.append(model.name))
    provision(SETTINGS, dynamodb, sqs)
    assert {name for name in written if not name.startswith(("List", "Describe", "Get"))} == {"CreateQueue"}
    assert dynamodb.scan(TableName="msg-test-clients")["Count"] == 1


def test_a_changed_queue_attribute_is_set(clients: tuple[Any, Any]) -> None:
    """Expects the template's value to replace the queue's, and its messages to stay."""
    dynamodb, sqs = clients
    provision(SETTINGS, dynamodb, sqs)
    url = sqs.get_queue_url(QueueName="msg-test-send")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="kept")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "1"})
    provision(SETTINGS, dynamodb, sqs)
    send = _attributes(sqs, "msg-test-send")
    assert (send["VisibilityTimeout"], send["ApproximateNumberOfMessages"]) == ("180", "1")


def test_a_missing_index_is_added(clients: tuple[Any, Any]) -> None:
    """Expects an index that the template has and an older table lacks to exist afterwards."""
    dynamodb, sqs = clients
    provision(SETTINGS, dynamodb, sqs)
    dynamodb.update_table(
        TableName="msg-test-ledger", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "parked"}}]
    )
    assert "parked" not in _indexes(dynamodb, "msg-test-ledger")
    provision(SETTINGS, dynamodb, sqs)
    assert "parked" in _indexes(dynamodb, "msg-test-ledger")


def test_the_clients_of_an_earlier_version_are_in_the_new_indexes(clients: tuple[Any, Any]) -> None:
    """Expects clients from before indexes were renamed in them, with what dispatch needs, and the old indexes gone."""
    dynamodb, sqs = clients
    table = resources("msg-test")["ClientsTable"]["Properties"]
    names = {"contacts_by_tag": "by_tag", "contacts_by_operator": "by_operator"}
    indexes = [
        {**one, "IndexName": names[one["IndexName"]], "Projection": {"ProjectionType": "ALL"}}
        for one in table["GlobalSecondaryIndexes"]
    ]
    kept = {key: table[key] for key in ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema")}
    dynamodb.create_table(**kept, GlobalSecondaryIndexes=indexes)
    client = ClientFactory(tags=("vip", "new"), attributes=attributes_of({"city": "Perm"}))
    dynamodb.put_item(TableName="msg-test-clients", Item=row_of(ClientModel, client).serialize())
    provision(SETTINGS, dynamodb, sqs)
    assert _indexes(dynamodb, "msg-test-clients") == set(names)
    for name in names:
        entries = dynamodb.scan(TableName="msg-test-clients", IndexName=name)["Items"]
        assert [entry["phone_number"]["S"].startswith("+") for entry in entries] == [True]
        assert not {"attributes", "tags", "updated_at"} & entries[0].keys()


def test_two_prefixes_live_side_by_side(clients: tuple[Any, Any]) -> None:
    """Expects a second prefix to have its own tables and its own dead-letter queue."""
    dynamodb, sqs = clients
    provision(SETTINGS, dynamodb, sqs)
    provision(Settings(resource_prefix="other"), dynamodb, sqs)
    assert "other-send-dead" in json.loads(_attributes(sqs, "other-send")["RedrivePolicy"])["deadLetterTargetArn"]
    assert len(dynamodb.list_tables()["TableNames"]) == 10
