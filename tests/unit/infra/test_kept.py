"""Where CloudFormation cannot import, a template knows what an earlier stack kept by its names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.deploy import DeployError
from infra.destroy import destroy
from infra.package import LAMBDA
from infra.retained import Kept
from infra.stack import Import
from infra.template import merge_template

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/stack-users"
SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:stack/gateway-token-abcdef"
TABLE = Import("AWS::DynamoDB::Table", "UsersTable", {"TableName": "stack-users"})
TOKEN = Import("AWS::SecretsManager::Secret", "GatewayToken", {"Id": SECRET})


class Account:
    """An account with one table."""

    emulated = True

    def client(self, service: str) -> Any:
        return self

    def describe_table(self, TableName: str) -> Any:  # noqa: N803 - as boto3 names it
        return {"Table": {"TableArn": ARN.replace("stack-users", TableName)}}


def kept() -> Kept:
    return Kept(Account(), "stack")  # type: ignore[arg-type]


def test_what_is_left_out_is_named_by_what_it_is() -> None:
    """Expects each way in which a template refers to a table and a secret, and everything else as it was."""
    template = {
        "Resources": {
            "UsersTable": {"Type": TABLE.resource_type},
            "GatewayToken": {"Type": TOKEN.resource_type},
            "Role": {
                "Tables": [{"Fn::GetAtt": ["UsersTable", "Arn"]}, {"Fn::GetAtt": ["OtherTable", "Arn"]}],
                "Index": {"Fn::Sub": "${UsersTable.Arn}/index/by_group"},
                "Both": {"Fn::Sub": "${UsersTable} ${AWS::StackName} ${OtherTable.Arn}"},
                "Name": {"Ref": "UsersTable"},
                "Secret": {"Ref": "GatewayToken"},
                "Region": {"Ref": "AWS::Region"},
            },
        },
        "Outputs": {"Secret": {"Value": {"Ref": "GatewayToken"}}},
    }
    assert kept().left_out(template, [TABLE, TOKEN]) == {
        "Resources": {
            "Role": {
                "Tables": [ARN, {"Fn::GetAtt": ["OtherTable", "Arn"]}],
                "Index": {"Fn::Sub": f"{ARN}/index/by_group"},
                "Both": {"Fn::Sub": "stack-users ${AWS::StackName} ${OtherTable.Arn}"},
                "Name": "stack-users",
                "Secret": SECRET,
                "Region": {"Ref": "AWS::Region"},
            }
        },
        "Outputs": {"Secret": {"Value": SECRET}},
    }


def test_the_template_of_the_service_names_none_of_what_is_left_out() -> None:
    """Expects no reference to be overlooked, whichever resources are kept."""
    template = merge_template(LAMBDA)
    imports = [
        Import(one["Type"], name, {"TableName": name} if one["Type"] == TABLE.resource_type else {"Id": SECRET})
        for name, one in template["Resources"].items()
        if str(one.get("DeletionPolicy", "")).startswith("Retain")
    ]
    assert len(imports) == 6
    text = json.dumps(kept().left_out(template, imports))
    for one in imports:
        assert f'"Ref": "{one.logical_name}"' not in text
        assert f'"Fn::GetAtt": ["{one.logical_name}"' not in text
        assert f"${{{one.logical_name}" not in text


def test_only_what_the_stack_does_not_hold_is_outside() -> None:
    """Expects what it holds to stay in its template."""

    class Holding:
        def resources(self) -> set[str]:
            return {"UsersTable"}

    made = kept()
    made.found = lambda: [TABLE, TOKEN]  # type: ignore[method-assign]
    assert made.outside(Holding()) == [TOKEN]  # type: ignore[arg-type]


class ProtectedAccount(Account):
    """The same account, whose table is protected from being deleted."""

    emulated = False
    endpoint = ""
    account_id, region = "111111111111", "eu-central-1"

    def __init__(self) -> None:
        self.deleted: list[str] = []

    def describe_table(self, TableName: str) -> Any:  # noqa: N803 - as boto3 names it
        return {"Table": {"TableName": TableName, "DeletionProtectionEnabled": True}}

    def describe_secret(self, SecretId: str) -> Any:  # noqa: N803 - as boto3 names it
        return {"ARN": SECRET}

    def describe_stacks(self, StackName: str) -> Any:  # noqa: N803 - as boto3 names it
        return {"Stacks": [{"StackId": "1", "StackStatus": "CREATE_COMPLETE"}]}

    def delete_stack(self, StackName: str) -> None:  # noqa: N803 - as boto3 names it
        self.deleted.append(StackName)


def test_protected_tables_are_named_before_anything_is_removed() -> None:
    """Expects the stack to stay, too: half of it would be of no use to anybody."""
    account = ProtectedAccount()
    with pytest.raises(DeployError, match=r"-clients, .* protected .* First deploy with DELETION_PROTECTION=false"):
        destroy("dev", account, data=True, confirm=lambda question: True)  # type: ignore[arg-type]
    assert account.deleted == []


def test_a_stack_adopts_tables_as_the_template_will_have_them() -> None:
    """Expects no parameter and no condition in it, for it has neither, and the values of those that were given."""
    key = "arn:aws:kms:us-east-1:111111111111:key/1"
    template = kept().template([TABLE, TOKEN], {"KmsKeyArn": key, "DeletionProtection": "true"})
    assert set(template["Resources"]) == {"UsersTable", "GatewayToken"}
    text = json.dumps(template)
    assert '"Fn::If"' not in text
    assert '"Ref"' not in text
    properties = template["Resources"]["UsersTable"]["Properties"]
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["SSESpecification"]["KMSMasterKeyId"] == key
