"""Where CloudFormation cannot import, a template knows what an earlier stack kept by its names."""

from __future__ import annotations

import json
from typing import Any

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
