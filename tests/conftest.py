"""What holds for every test: its tier, no access to the developer's own AWS account, and no network beyond this
machine.

There are two tiers. `make test` runs what is not marked `proof`: rules, parts, contracts, and the service end to end
on the embedded stack, with the main path of every promise. `make proof` runs what is marked: the same promises under
everything at once (simulation, a crash at every call, hours of trouble), the second storage engine, `make run` and
its files when they are killed and damaged, the browser, and deployed packages. A test is marked `@pytest.mark.proof`;
all tests in PROOF_DIRECTORIES are marked here.
"""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Generator
from pathlib import Path

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

# The same in every run, so that a change is not blamed for what chance drew. FACTORY_SEED=random draws anew.
_ASKED = os.environ.get("FACTORY_SEED") or "1"
SEED = random.randrange(2**32) if _ASKED == "random" else int(_ASKED)


PROOF_DIRECTORIES = ("browser",)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "proof: belongs to `make proof`, not to `make test`")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(Path(__file__).parent).parts[0] in PROOF_DIRECTORIES:
            item.add_marker(pytest.mark.proof)
        if _shares_with_its_file(item) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


def _shares_with_its_file(item: pytest.Item) -> bool:
    """Whether the test uses what is made once for a file: then all of them run in one xdist process, which makes it
    once."""
    found = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    return any(made[-1].scope == "module" for made in found.values())


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let the garbage collector skip what was imported, and run less often: it took a tenth of all tests' CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000)


def pytest_runtest_setup() -> None:
    """Let every test draw the same random values, whichever tests ran before it."""
    from tests.factories import seed_factories  # its imports belong after the environment is clean

    seed_factories(SEED)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with a failure how to draw the same random values again."""
    report = yield
    if report.failed:
        report.sections.append(("factories", f"FACTORY_SEED={SEED} draws the same values again"))
    return report


@pytest.fixture
def sixteen_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mailing has as many shards as one to very many clients, whoever it is sent to."""
    monkeypatch.setattr("chalicelib.domain.buckets.SMALL", 0)
