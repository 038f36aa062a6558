"""What holds for every test: no account of the person who runs it, and no network but this machine."""

from __future__ import annotations

import os
import random
from collections.abc import Generator

import pytest

# Before any client or module is made: credentials, profiles and endpoints of the person's own stay out.
for _name in [name for name in os.environ if name.startswith(("AWS_", "GATEWAY_", "POWERTOOLS_"))]:
    del os.environ[_name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}

SEED = int(os.environ.get("FACTORY_SEED") or random.randrange(2**32))


def pytest_runtest_setup() -> None:
    """Let every test draw the same values, whichever tests ran before it."""
    from tests.factories import seed_factories  # its imports belong after the environment is clean

    seed_factories(SEED)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with a failure how its values are drawn again."""
    report = yield
    if report.failed:
        report.sections.append(("factories", f"FACTORY_SEED={SEED} draws the same values again"))
    return report
