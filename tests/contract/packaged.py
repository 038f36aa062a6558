"""The packaged template as the contract tests read it: by kind of resource, with references resolved."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chalicelib.config import DEFAULT_PREFIX
from infra.resolved import resolved

STACK = DEFAULT_PREFIX  # the name of the stack that the tests think of
FUNCTION = "AWS::Serverless::Function"
TABLE = "AWS::DynamoDB::Table"
QUEUE = "AWS::SQS::Queue"
ROLE = "AWS::IAM::Role"
LOG_GROUP = "AWS::Logs::LogGroup"
PARAMETERS = {"ReportIdentity": "reports@example.com"}  # what the stack of the tests was given
Permission = tuple[str, str]  # an action, and the resource that it is allowed on


@dataclass(frozen=True, slots=True)
class Packaged:
    """The template, with its path and that of the zip."""

    template: dict[str, Any]
    template_file: Path
    deployment: Path

    def by_default(self) -> Packaged:
        """The template with every parameter replaced by its default."""
        return replace(self, template=resolved(self.template, {}))

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """All resources of a type by logical name."""
        return {name: one for name, one in self.template["Resources"].items() if one["Type"] == kind}

    def properties(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of all resources of a type by logical name."""
        return {name: one["Properties"] for name, one in self.resources(kind).items()}

    def queue_sources(self) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """The function and the event source for each function that reads a queue, by the function's logical name."""
        return {
            name: (function, source["Properties"])
            for name, function in self.properties(FUNCTION).items()
            for source in function.get("Events", {}).values()
            if source["Type"] == "SQS"
        }

    def source_queue(self, source: dict[str, Any]) -> dict[str, Any]:
        """The queue of an event source."""
        (logical_name,) = re.findall(r"^\$\{(\w+)\.Arn\}$", source["Queue"]["Fn::Sub"])
        return self.properties(QUEUE)[logical_name]

    def statements(self, function: str) -> list[dict[str, Any]]:
        """The statements of a function's own role."""
        role = self.properties(FUNCTION)[function]["Role"]["Fn::GetAtt"][0]
        (policy,) = self.properties(ROLE)[role]["Policies"]
        return policy["PolicyDocument"]["Statement"]

    def permissions(self, function: str) -> set[Permission]:
        """Every action that a function's role allows, with the name of the resource; an index is `table/index`."""
        return {
            (action, self.name_of(resource))
            for statement in self.statements(function)
            for action in as_list(statement["Action"])
            for resource in as_list(statement["Resource"])
        }

    def name_of(self, reference: Any) -> str:
        """The name of what a policy refers to; an index has its table's name before it."""
        if isinstance(reference, str):
            return reference
        if "Ref" in reference:
            return self._named(reference["Ref"])
        if "Fn::GetAtt" in reference:
            return self._named(reference["Fn::GetAtt"][0])
        if ":function:" in reference["Fn::Sub"]:
            return in_stack({"Fn::Sub": reference["Fn::Sub"].partition(":function:")[2]})
        if ":ses:" in reference["Fn::Sub"]:
            return in_stack({"Fn::Sub": reference["Fn::Sub"].rpartition(":")[2]})
        ((logical_name, index),) = re.findall(r"^\$\{(\w+)\.Arn\}/index/(\w+)$", reference["Fn::Sub"])
        return f"{self._named(logical_name)}/{index}"

    def _named(self, logical_name: str) -> str:
        properties = self.template["Resources"][logical_name]["Properties"]
        (name,) = (
            properties[key]
            for key in ("TableName", "QueueName", "LogGroupName", "FunctionName", "Name")
            if key in properties
        )
        return in_stack(name)


def in_stack(name: Any) -> str:
    """A name of the template as it is called in the stack of the tests."""
    text: str = name["Fn::Sub"]
    for parameter, value in {"AWS::StackName": STACK, **PARAMETERS}.items():
        text = text.replace(f"${{{parameter}}}", value)
    return text


def as_list(value: Any) -> list[Any]:
    """What a policy has as one item or as a list of items, as a list."""
    return value if isinstance(value, list) else [value]
