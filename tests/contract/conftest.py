"""The package that the contract tests inspect, made once for all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.package import package
from tests.contract.packaged import Packaged


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all tests of the package in the same xdist process, so that it is made once."""
    for item in items:
        if "packaged" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("package"))


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """What `make package` makes."""
    out: Path = tmp_path_factory.mktemp("dist")
    package("dev", out)
    template = json.loads((out / "template.json").read_text(encoding="utf-8"))
    return Packaged(template, out / "template.json", out / "deployment.zip")
