"""One CloudFormation stack: changes it by change sets, waits for it, and finds out why it failed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

BOUND = 3600.0  # seconds for any one operation of CloudFormation
_NEVER_THERE = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "IMPORT_ROLLBACK_COMPLETE"}
_NEW = {"", "REVIEW_IN_PROGRESS", "DELETE_COMPLETE"}
_GOOD = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE", "DELETE_COMPLETE"}
_NO_CHANGE = ("didn't contain changes", "No updates are to be performed")
_FOLLOWED = "cancelled"  # in the reasons of resources that ended because another one failed
_CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


class StackError(Exception):
    """An operation on the stack failed; the text is the reason of the resource that failed first."""


@dataclass(frozen=True, slots=True)
class Import:
    """An existing resource to import: its type and name in the template, and its identifier."""

    resource_type: str
    logical_name: str
    identifier: Mapping[str, str]


class Stack:
    """The stack of one stage. `tell` gets a line for each event; `pause` seconds pass between two looks.

    With `role`, an ARN, CloudFormation acts with that role instead of the caller's rights.
    """

    def __init__(
        self,
        cloudformation: Any,
        name: str,
        tell: Callable[[str], None],
        pause: float = 2.0,
        sleep: Callable[[float], None] = time.sleep,
        role: str = "",
    ) -> None:
        self.name = name
        self._cloudformation = cloudformation
        self._tell = tell
        self._pause = pause
        self._sleep = sleep
        self._role = {"RoleARN": role} if role else {}

    # -- what is

    def status(self) -> str:
        """CloudFormation's status, "" if there is no stack."""
        return str(self._described().get("StackStatus", ""))

    def outputs(self) -> dict[str, str]:
        """The outputs by name."""
        return {one["OutputKey"]: one["OutputValue"] for one in self._described().get("Outputs", [])}

    def parameters(self) -> dict[str, str]:
        """The values of its parameters by name."""
        return {one["ParameterKey"]: one.get("ParameterValue", "") for one in self._described().get("Parameters", [])}

    def resources(self) -> set[str]:
        """The logical names of its resources."""
        if self.is_new():
            return set()
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        return {one["LogicalResourceId"] for page in pages for one in page["StackResourceSummaries"]}

    def rests_well(self) -> bool:
        """Whether its last operation succeeded, so that its outputs are those of the last deploy."""
        return self.status() in _GOOD

    def is_new(self) -> bool:
        """Whether there is no stack yet that could be updated."""
        return self.status() in _NEW

    # -- changes

    def prepare(self) -> None:
        """Wait for a running operation, and remove what a failed creation left. Raises StackError if it is stuck."""
        described = self._described()
        status = described.get("StackStatus", "")
        if status.endswith("_IN_PROGRESS") and status not in _NEW:
            status = self._rest(described["StackId"], self._seen(), _First())
        if status in _NEVER_THERE:
            self._tell(f"  Removing the stack that an earlier attempt left in {status}")
            self.delete()
        elif status == "UPDATE_ROLLBACK_FAILED":
            raise StackError(
                f"{self.name} is in UPDATE_ROLLBACK_FAILED: mend what its events name, then run "
                f"`aws cloudformation continue-update-rollback --stack-name {self.name}`"
            )

    def deploy(self, template_url: str, parameters: Mapping[str, str | None]) -> bool:
        """Create or update by change set. Returns False if nothing differs. Raises StackError with the first failure.

        Parameters without a value keep their current one.
        """
        known = self.parameters()
        return self._change(
            ChangeSetType="CREATE" if self.is_new() else "UPDATE",
            TemplateURL=template_url,
            Parameters=[
                _previous(name) if value is None else {"ParameterKey": name, "ParameterValue": value}
                for name, value in parameters.items()
                if value is not None or name in known
            ],
        )

    def adopt(self, template_url: str, imports: list[Import]) -> None:
        """Create the stack with existing resources. Raises StackError with the first failure."""
        self._change(
            ChangeSetType="IMPORT",
            TemplateURL=template_url,
            ResourcesToImport=[
                {
                    "ResourceType": one.resource_type,
                    "LogicalResourceId": one.logical_name,
                    "ResourceIdentifier": dict(one.identifier),
                }
                for one in imports
            ],
        )

    def delete(self) -> None:
        """Remove the stack and wait until it is gone. Raises StackError with what could not be removed."""
        stack_id = self._described().get("StackId")
        if stack_id is None:
            return
        seen = self._seen()
        self._cloudformation.delete_stack(StackName=self.name)
        self._finish(stack_id, seen)

    def _change(self, **what: Any) -> bool:
        change_set = f"deploy-{uuid.uuid4().hex[:12]}"
        of_this = {"StackName": self.name, "ChangeSetName": change_set}
        made = self._cloudformation.create_change_set(**of_this, **what, **self._role, Capabilities=_CAPABILITIES)
        reason = self._refusal(of_this)
        if reason is not None:
            self._discard(of_this)
            if any(text in reason for text in _NO_CHANGE):
                return False
            raise StackError(reason)
        seen = self._seen()
        self._cloudformation.execute_change_set(**of_this)
        self._finish(made["StackId"], seen)
        return True

    def _refusal(self, change_set: dict[str, str]) -> str | None:
        """Why the change set cannot be carried out, None if it can."""
        for _ in self._looks():
            found = self._cloudformation.describe_change_set(**change_set)
            if found["Status"] == "CREATE_COMPLETE" and found["ExecutionStatus"] == "AVAILABLE":
                return None
            if found["Status"] in ("CREATE_COMPLETE", "FAILED"):
                return str(found.get("StatusReason", "the change set failed"))
        raise StackError(f"{self.name}: no change set within {BOUND:.0f} s")

    def _discard(self, change_set: dict[str, str]) -> None:
        """Delete a failed change set, which would count against a quota and leave an empty stack in review."""
        self._cloudformation.delete_change_set(**change_set)
        if self.status() == "REVIEW_IN_PROGRESS":
            self._cloudformation.delete_stack(StackName=self.name)

    # -- watching

    def _finish(self, stack_id: str, seen: set[str]) -> None:
        first = _First()
        status = self._rest(stack_id, seen, first)
        if status not in _GOOD:
            raise StackError(first.reason or f"{self.name} is in {status}")

    def _rest(self, stack_id: str, seen: set[str], first: _First) -> str:
        """Print all events that are not `seen` until the operation has ended. Returns the status then."""
        for _ in self._looks():
            status = str(self._described(stack_id).get("StackStatus", "DELETE_COMPLETE"))
            for event in self._new_events(stack_id, seen):
                first.note(event)
                if not event["ResourceStatus"].endswith("_IN_PROGRESS"):
                    self._tell(_line(event))
            if not status.endswith("_IN_PROGRESS"):
                return status
        raise StackError(f"{self.name}: still under way after {BOUND:.0f} s")

    def _looks(self) -> Iterator[int]:
        for look in range(int(BOUND / self._pause)):
            if look:
                self._sleep(self._pause)
            yield look

    def _seen(self) -> set[str]:
        """The latest events, to distinguish later ones."""
        events = self._cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return {event["EventId"] for event in events}

    def _new_events(self, stack_id: str, seen: set[str]) -> list[dict[str, Any]]:
        """The events that are not in `seen`, the oldest first; adds them to it."""
        new: list[dict[str, Any]] = []
        for page in self._cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack_id):
            fresh = [event for event in page["StackEvents"] if event["EventId"] not in seen]
            new += fresh
            if len(fresh) < len(page["StackEvents"]):
                break
        seen.update(event["EventId"] for event in new)
        return new[::-1]

    def _described(self, stack_id: str = "") -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._cloudformation.describe_stacks(StackName=stack_id or self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return {}
            raise
        return found


class _First:
    """The first failure among events, which is the cause of all others."""

    def __init__(self) -> None:
        self.reason = ""

    def note(self, event: dict[str, Any]) -> None:
        reason = event.get("ResourceStatusReason", "")
        failed = event["ResourceStatus"].endswith("_FAILED") and _FOLLOWED not in reason
        if failed and not self.reason:
            self.reason = f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason or 'no reason given'}"


def _previous(name: str) -> dict[str, Any]:
    return {"ParameterKey": name, "UsePreviousValue": True}


def _line(event: dict[str, Any]) -> str:
    reason = event.get("ResourceStatusReason", "")
    about = f": {reason}" if reason and event["ResourceStatus"].endswith("_FAILED") else ""
    return f"  {event['ResourceStatus']:<28} {event['LogicalResourceId']}{about}"
