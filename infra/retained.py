"""Resources that outlive the stack: the tables and the gateway's token.

They are found, imported into a new stack, or removed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.account import Account
from infra.package import LAMBDA
from infra.resolved import resolved
from infra.stack import Import, Stack
from infra.template import merge_template

_TABLE = "AWS::DynamoDB::Table"
_SECRET = "AWS::SecretsManager::Secret"  # noqa: S105 - the name of a type
_NAMES = {_TABLE: "TableName", _SECRET: "Name"}
_MISSING = "ResourceNotFoundException"
_REFERENCE = re.compile(r"\$\{(\w+)(?:\.(\w+))?\}")  # in the text of Fn::Sub
# CloudFormation wants these, and a template that holds nothing but what it adopts.
_ADOPTED = ("Type", "DeletionPolicy", "UpdateReplacePolicy", "Properties")


class Kept:
    """The resources that the template tells CloudFormation to retain."""

    def __init__(self, account: Account, stack: str) -> None:
        self._dynamodb = account.client("dynamodb")
        self._secrets = account.client("secretsmanager")
        self._emulated = account.emulated
        self._stack = stack
        self._resources: dict[str, dict[str, Any]] = {
            name: one
            for name, one in merge_template(LAMBDA)["Resources"].items()
            if one.get("Type") in _NAMES and str(one.get("DeletionPolicy", "")).startswith("Retain")
        }

    def found(self) -> list[Import]:
        """The retained resources that exist, with their identifiers."""
        found = []
        for logical_name, resource in self._resources.items():
            identifier = self._identifier(resource)
            if identifier:
                found.append(Import(resource["Type"], logical_name, identifier))
        return found

    def adoptable(self) -> list[Import]:
        """Those of `found` that would be in the way of a new stack. MiniStack cannot import secrets and need not."""
        return [one for one in self.found() if one.resource_type == _TABLE or not self._emulated]

    def outside(self, stack: Stack) -> list[Import]:
        """Those of `found` that are not in the stack."""
        inside = stack.resources()
        return [one for one in self.found() if one.logical_name not in inside]

    def left_out(self, template: dict[str, Any], kept: list[Import]) -> dict[str, Any]:
        """The template without these resources, which it then refers to by name only."""
        names = {one.logical_name: self._references(one) for one in kept}
        resources = {name: one for name, one in template["Resources"].items() if name not in names}
        referring: dict[str, Any] = by_name({**template, "Resources": resources}, names)
        return referring

    def _references(self, kept: Import) -> dict[str, str]:
        """The values of `Ref` and `Arn` for it."""
        if kept.resource_type == _TABLE:
            arn = self._dynamodb.describe_table(TableName=kept.identifier["TableName"])["Table"]["TableArn"]
            return {"Ref": kept.identifier["TableName"], "Arn": arn}
        return {"Ref": kept.identifier["Id"]}

    def template(self, imports: list[Import], values: Mapping[str, str]) -> dict[str, Any]:
        """The template of a stack with these resources only, as in the whole template with these parameters."""
        whole = merge_template(LAMBDA)
        found = {key: whole[key] for key in ("Parameters", "Conditions")}
        found["Resources"] = {
            one.logical_name: {
                key: value for key, value in whole["Resources"][one.logical_name].items() if key in _ADOPTED
            }
            for one in imports
        }
        adopted = resolved(found, values, texts=True)
        return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": adopted["Resources"]}

    def name(self, kept: Import) -> str:
        """Its name."""
        return self._named(self._resources[kept.logical_name])

    def protected(self) -> list[str]:
        """The names of the tables that DynamoDB would not delete."""
        names = [one.identifier["TableName"] for one in self.found() if one.resource_type == _TABLE]
        tables = [self._dynamodb.describe_table(TableName=name)["Table"] for name in names]
        return [one["TableName"] for one in tables if one.get("DeletionProtectionEnabled")]

    def remove(self, kept: Import) -> None:
        """Delete it for good, with all data."""
        if kept.resource_type == _TABLE:
            self._dynamodb.delete_table(TableName=kept.identifier["TableName"])
        else:
            self._secrets.delete_secret(SecretId=kept.identifier["Id"], ForceDeleteWithoutRecovery=True)

    def _identifier(self, resource: dict[str, Any]) -> dict[str, str]:
        name = self._named(resource)
        try:
            if resource["Type"] == _TABLE:
                self._dynamodb.describe_table(TableName=name)
                return {"TableName": name}
            secret = self._secrets.describe_secret(SecretId=name)
        except ClientError as error:
            if error.response["Error"]["Code"] == _MISSING:
                return {}
            raise
        return {} if secret.get("DeletedDate") else {"Id": secret["ARN"]}

    def _named(self, resource: dict[str, Any]) -> str:
        name: str = resource["Properties"][_NAMES[resource["Type"]]]["Fn::Sub"]
        return name.replace("${AWS::StackName}", self._stack)


def by_name(value: Any, names: dict[str, dict[str, str]]) -> Any:
    """The same part of a template, with `names` instead of references (`Ref`, `Arn`) to these resources."""
    if isinstance(value, list):
        return [by_name(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"} and value["Ref"] in names:
        return names[value["Ref"]]["Ref"]
    if set(value) == {"Fn::GetAtt"} and value["Fn::GetAtt"][0] in names:
        return names[value["Fn::GetAtt"][0]][value["Fn::GetAtt"][1]]
    if set(value) == {"Fn::Sub"} and isinstance(value["Fn::Sub"], str):
        return {"Fn::Sub": _REFERENCE.sub(lambda found: _told(found, names), value["Fn::Sub"])}
    return {key: by_name(one, names) for key, one in value.items()}


def _told(found: re.Match[str], names: dict[str, dict[str, str]]) -> str:
    known = names.get(found[1])
    return known[found[2] or "Ref"] if known else found[0]
