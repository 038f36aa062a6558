"""`make rollback`: deploys the previous release again, with its code, template and parameters."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from infra.account import Account
from infra.artifacts import Artifacts
from infra.deploy import EXPECTED, DeployError, await_health, pause, refused, say, stack_name
from infra.destroy import asked
from infra.fingerprint import OUTPUT
from infra.releases import Releases
from infra.rollout import at_once
from infra.stack import Stack


def rollback(stage: str, account: Account, confirm: Callable[[str], bool]) -> str:
    """Bring the stack back to the release before its last one.

    Returns the API's address. Raises DeployError if it cannot.

    Data is not touched. The API switches at once, because a faulty version must not serve requests for minutes more,
    and an alarm that already rings would stop a gradual change.
    """
    name = stack_name(stage)
    role = os.environ.get("DEPLOY_ROLE_ARN", "").strip()
    stack = Stack(account.client("cloudformation"), name, say, pause(account), role=role)
    artifacts = Artifacts(account, name)
    releases = Releases(artifacts)
    stack.prepare()
    running = stack.outputs().get(OUTPUT, "")
    known = {one.fingerprint: one for one in releases.all()}
    before = releases.before(running)
    if before is None:
        raise DeployError(f"no release before the one that runs is known of {name}. Check it out and deploy it")
    content = artifacts.read(before.template_key)
    if content is None or not artifacts.has(before.zip_key):
        raise DeployError(f"the release {before} is not in {artifacts.bucket} any more. Check it out and deploy it")
    if not confirm(f"Roll {name} back from {known[running]} to {before}?"):
        raise DeployError("not confirmed, nothing was changed")
    artifacts.keep(before.zip_key)
    template: dict[str, Any] = json.loads(content)
    key = artifacts.put(json.dumps(at_once(template), sort_keys=True).encode(), ".json")
    stack.deploy(account.object_url(artifacts.bucket, key), before.parameters)
    return account.api_url(stack.outputs())


def main() -> int:
    """Ask, roll back, and print the service's address. Returns 1, with the reason printed, if that failed."""
    parser = argparse.ArgumentParser(prog="python -m infra.rollback", description=__doc__)
    parser.add_argument("--stage", default="dev", help="the stage whose last release is taken back (default: dev)")
    given = parser.parse_args()
    try:
        url = rollback(given.stage, Account.from_environment(os.environ), asked)
        await_health(url)
    except EXPECTED as error:
        return refused(f"Not rolled back: {error}")
    say(f"Ready: {url}/")
    return 0


if __name__ == "__main__":
    sys.exit(main())
