"""Creates the tables and queues of infra/resources.yaml on any DynamoDB and SQS, and updates what has changed."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import ClientError

from chalicelib.config import Settings

TEMPLATE = Path(__file__).with_name("resources.yaml")

# What CreateTable takes under the very name the template uses; the rest of a table is set by calls of its own.
_TABLE_PARAMETERS = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
_UNSUPPORTED = {"UnknownOperationException", "NotImplemented", "InvalidAction"}


class TemplateError(Exception):
    """The template uses something that this module does not read."""


def resources(prefix: str) -> dict[str, dict[str, Any]]:
    """The template's resources by logical name, with `${AWS::StackName}` replaced by `prefix`."""
    return {name: _substituted(resource, prefix) for name, resource in _template()["Resources"].items()}


@cache
def _template() -> dict[str, Any]:
    """The template, which is read once: tests provision thousands of times. Nobody changes what this returns."""
    template: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    return template


def provision(settings: Settings, dynamodb: Any, sqs: Any) -> None:
    """Create every table and queue of the template with these boto3 clients. Keeps all data, may be repeated."""
    defined = resources(settings.resource_prefix)
    tables = [one["Properties"] for one in defined.values() if one["Type"] == "AWS::DynamoDB::Table"]
    queues = {name: one["Properties"] for name, one in defined.items() if one["Type"] == "AWS::SQS::Queue"}
    _provision_tables(tables, dynamodb)
    _provision_queues(queues, sqs)


def complete_tables(settings: Settings, dynamodb: Any) -> None:
    """Set time to live and point-in-time recovery of existing tables, for an emulator whose CloudFormation does not."""
    for one in resources(settings.resource_prefix).values():
        if one["Type"] == "AWS::DynamoDB::Table":
            _set_time_to_live(one["Properties"], dynamodb)
            _set_point_in_time_recovery(one["Properties"], dynamodb)


def _substituted(value: Any, prefix: str) -> Any:
    if isinstance(value, list):
        return [_substituted(one, prefix) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::Sub"}:
        text = str(value["Fn::Sub"]).replace("${AWS::StackName}", prefix)
        if "${" in text:
            raise TemplateError(f"Fn::Sub knows ${{AWS::StackName}} only: {text}")
        return text
    return {key: _substituted(one, prefix) for key, one in value.items()}


# --- tables


def _provision_tables(tables: list[dict[str, Any]], dynamodb: Any) -> None:
    existing = set(_table_names(dynamodb))
    for table in tables:
        name = table["TableName"]
        if name in existing:
            _change_indexes(table, dynamodb)
        else:
            dynamodb.create_table(**{key: table[key] for key in _TABLE_PARAMETERS if key in table})
            dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        _set_time_to_live(table, dynamodb)
        _set_point_in_time_recovery(table, dynamodb)


def _table_names(dynamodb: Any) -> list[str]:
    return [name for page in dynamodb.get_paginator("list_tables").paginate() for name in page["TableNames"]]


def _change_indexes(table: dict[str, Any], dynamodb: Any) -> None:
    """Add missing indexes, then remove those of an earlier version, one at a time, as DynamoDB requires.

    It also wants every attribute of the table's keys named with a new index.
    """
    description = dynamodb.describe_table(TableName=table["TableName"])["Table"]
    present = [index["IndexName"] for index in description.get("GlobalSecondaryIndexes", [])]
    wanted = table.get("GlobalSecondaryIndexes", [])
    for index in wanted:
        if index["IndexName"] not in present:
            dynamodb.update_table(
                TableName=table["TableName"],
                AttributeDefinitions=table["AttributeDefinitions"],
                GlobalSecondaryIndexUpdates=[{"Create": index}],
            )
    for name in present:
        if name not in {index["IndexName"] for index in wanted}:
            dynamodb.update_table(
                TableName=table["TableName"], GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": name}}]
            )


def _set_time_to_live(table: dict[str, Any], dynamodb: Any) -> None:
    wanted = table.get("TimeToLiveSpecification")
    if wanted is None:
        return
    present = dynamodb.describe_time_to_live(TableName=table["TableName"])["TimeToLiveDescription"]
    enabled = present.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
    if (enabled, present.get("AttributeName")) != (wanted["Enabled"], wanted["AttributeName"]):
        dynamodb.update_time_to_live(TableName=table["TableName"], TimeToLiveSpecification=wanted)


def _set_point_in_time_recovery(table: dict[str, Any], dynamodb: Any) -> None:
    wanted = table.get("PointInTimeRecoverySpecification")
    if wanted is None:
        return
    try:
        answer = dynamodb.describe_continuous_backups(TableName=table["TableName"])
        present = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        if (present.get("PointInTimeRecoveryStatus") == "ENABLED") != wanted["PointInTimeRecoveryEnabled"]:
            dynamodb.update_continuous_backups(TableName=table["TableName"], PointInTimeRecoverySpecification=wanted)
    except ClientError as error:
        # An emulator without it still holds the data; on AWS CloudFormation sets it, not this module.
        if error.response["Error"]["Code"] not in _UNSUPPORTED:
            raise


# --- queues


def _provision_queues(queues: dict[str, dict[str, Any]], sqs: Any) -> None:
    """Create queues, dead-letter queues first, because other queues refer to their ARNs."""
    arns: dict[str, str] = {}
    for logical_name in sorted(queues, key=lambda name: "RedrivePolicy" in queues[name]):
        queue = queues[logical_name]
        url, present = _queue(queue["QueueName"], sqs)
        arns[logical_name] = present["QueueArn"]
        changed = {
            name: value for name, value in _attributes(queue, arns).items() if not _same(present.get(name), value)
        }
        if changed:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=changed)


def _queue(name: str, sqs: Any) -> tuple[str, dict[str, str]]:
    """Create with a name only: CreateQueue refuses an existing queue whose attributes differ."""
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return url, attributes


def _attributes(queue: dict[str, Any], arns: dict[str, str]) -> dict[str, str]:
    return {name: _attribute(value, arns) for name, value in queue.items() if name not in {"QueueName", "Tags"}}


def _attribute(value: Any, arns: dict[str, str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return json.dumps(_with_arns(value, arns), sort_keys=True)
    return str(value)


def _with_arns(value: dict[str, Any], arns: dict[str, str]) -> dict[str, Any]:
    resolved = dict(value)
    for key, one in value.items():
        if isinstance(one, dict):
            if set(one) != {"Fn::GetAtt"} or one["Fn::GetAtt"][1] != "Arn":
                raise TemplateError(f"{key}: a queue may refer to another queue's Arn only: {one}")
            resolved[key] = arns[one["Fn::GetAtt"][0]]
    return resolved


def _same(present: str | None, wanted: str) -> bool:
    if present is None or present == wanted:
        return present == wanted
    # An emulator may write the same JSON, or True for true, in its own way.
    try:
        return bool(_normal(json.loads(present)) == _normal(json.loads(wanted)))
    except ValueError:
        return present.lower() == wanted.lower()


def _normal(value: Any) -> Any:
    return {key: str(one) for key, one in value.items()} if isinstance(value, dict) else value
