"""Which permission each call of AWS needs, read from what the service sends rather than from what its author
believes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.contract.packaged import Permission
from tests.support.aws import Call

_STATEMENTS = {"INSERT INTO": "PartiQLInsert", "UPDATE": "PartiQLUpdate", "DELETE FROM": "PartiQLDelete"}
_ACTIONS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


def permissions_for(call: Call) -> set[Permission]:
    """The actions that IAM asks for, each with the name of the table, index, queue or secret."""
    service, _, operation = call.operation.partition(".")
    body = json.loads(call.body)
    if service == "sesv2":
        # SES asks for the permission of its first version, by the form of the content.
        (form,) = body["Content"]
        return {(f"ses:Send{form}Email", f"identity/{body['FromEmailAddress']}")}
    if service == "secretsmanager":
        # An ARN ends in the name, a dash and six characters that AWS has drawn.
        name = re.sub(r"^arn:.*:secret:(.*)-\w{6}$", r"\1", body["SecretId"])
        return {(f"{service}:{operation}", name)}
    found = _of_queue(operation, body) if service == "sqs" else _of_table(operation, body)
    return {(f"{service}:{action}", resource) for action, resource in found}


def _of_queue(operation: str, body: dict[str, Any]) -> Iterator[Permission]:
    # A batch needs the permission of its single form.
    yield operation.removesuffix("Batch"), body.get("QueueName") or body["QueueUrl"].rpartition("/")[2]


def _of_table(operation: str, body: dict[str, Any]) -> Iterator[Permission]:
    if operation == "TransactWriteItems":
        for item in body["TransactItems"]:
            for kind, write in item.items():
                yield _ACTIONS[kind], write["TableName"]
    elif operation == "BatchExecuteStatement":
        for statement in body["Statements"]:
            ((verb, table),) = re.findall(r'^(INSERT INTO|UPDATE|DELETE FROM) "([^"]+)"', statement["Statement"])
            yield _STATEMENTS[verb], table
    elif operation in ("BatchGetItem", "BatchWriteItem"):
        for table in body["RequestItems"]:
            yield operation, table
    else:
        index = body.get("IndexName")
        yield operation, f"{body['TableName']}/{index}" if index else body["TableName"]
