"""`make destroy`: removes a stage's stack, and says what it keeps."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from infra.account import Account
from infra.artifacts import Artifacts
from infra.deploy import EXPECTED, DeployError, pause, refused, say, stack_name
from infra.retained import Kept
from infra.stack import Stack


def destroy(stage: str, account: Account, *, data: bool, confirm: Callable[[str], bool]) -> None:
    """Remove the stack, and with `data` also everything that outlives it. Raises DeployError if `confirm` says no."""
    name = stack_name(stage)
    stack = Stack(account.client("cloudformation"), name, say, pause(account))
    artifacts = Artifacts(account, name)
    kept = Kept(account, name)
    where = account.endpoint or f"{account.account_id}, {account.region}"
    also = " with its tables, all clients, mailings and messages in them, and the gateway's token" if data else ""
    if not confirm(f"Remove {name} from {where}{also}?"):
        raise DeployError("not confirmed, nothing was removed")
    if data and (protected := kept.protected()):
        raise DeployError(
            f"{', '.join(protected)}: protected from being deleted, so nothing was removed. "
            f"First deploy with DELETION_PROTECTION=false"
        )
    stack.delete()
    found = kept.found()
    if data:
        for one in found:
            kept.remove(one)
            say(f"  Removed {kept.name(one)}")
        if artifacts.exists():
            artifacts.delete()
            say(f"  Removed the bucket {artifacts.bucket}")
        return
    say(f"{name} is removed. Kept, for the next deploy to take up again:")
    for one in found:
        say(f"  {one.resource_type:<27} {kept.name(one)}")
    if artifacts.exists():
        say(f"  {'AWS::S3::Bucket':<27} {artifacts.bucket}")
    say(f"To delete that too, for good: make destroy STAGE={stage} DATA=delete")


def asked(question: str) -> bool:
    """Whether the person answers yes, in the terminal or by YES=1."""
    if os.environ.get("YES", "").strip() == "1":
        return True
    try:
        return input(f"{question} [yes/no] ").strip().lower() == "yes"
    except EOFError:
        return False


def main() -> int:
    """Ask, remove, and print what is kept. Returns 1, with the reason printed, if that failed."""
    parser = argparse.ArgumentParser(prog="python -m infra.destroy", description=__doc__)
    parser.add_argument("--stage", default="dev", help="the stage whose stack is removed (default: dev)")
    parser.add_argument("--data", action="store_true", help="also delete tables, token and zips, for good")
    given = parser.parse_args()
    try:
        destroy(given.stage, Account.from_environment(os.environ), data=given.data, confirm=asked)
    except EXPECTED as error:
        return refused(f"Not removed: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
