"""The package deployed into a real LocalStack, or into LocalEmu with IAM enforced; both without Docker."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infra.localstack.emulator import ENFORCING, LOCALEMU, LOCALSTACK, Emulator, Kind, missing
from tests.contract.packaged import FUNCTION
from tests.support.deployment import Deployment, made_package, make_impatient

KINDS = {kind.package: kind for kind in (LOCALSTACK, LOCALEMU)}
# One in twenty calls of a function is refused as AWS refuses them when there are too many.
THROTTLING = {"SIMULATE_THROTTLING": "1", "THROTTLE_RATE": "0"}
THROTTLING |= {"DYNAMODB_THROTTLE_RATE": "0.05", "SQS_THROTTLE_RATE": "0.05"}
SETTINGS = {"localstack": {}, "localemu": ENFORCING | THROTTLING}


class LocalStackRun(Deployment):
    """An emulator with the stack of one stage."""

    def __init__(self, emulator: Emulator, package_dir: Path, gateway_url: str) -> None:
        super().__init__(emulator.url, package_dir, gateway_url)
        self.emulator = emulator


def kind_of(name: str) -> Kind:
    """The emulator of that name. If it is not set up the test says what is left out, and in CI it fails."""
    kind = KINDS[name]
    lacking = missing(kind)
    if lacking:
        reason = f"{kind.title} is not run, {' and '.join(lacking)} are missing: make proof sets them up"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return kind


def _adapt(template: dict[str, Any]) -> None:
    """Five kinds of trouble in a row are what these tests are about, and no reason to stop sending for a while."""
    make_impatient(template)
    for resource in template["Resources"].values():
        if resource["Type"] == FUNCTION:
            resource["Properties"]["Environment"]["Variables"]["CIRCUIT_THRESHOLD"] = "50"


@contextmanager
def localstack_run(name: str, directory: Path, shared: Path, gateway_url: str) -> Iterator[LocalStackRun]:
    """A deployed service that sends to `gateway_url`; nothing is left of it."""
    emulator = Emulator(kind_of(name), directory / "emulator", settings=SETTINGS[name])
    try:
        emulator.start()
        made_package(shared, directory / "dist")
        run = LocalStackRun(emulator, directory / "dist", gateway_url)
        run.change_template(_adapt)
        run.deploy()
        yield run
    finally:
        shutil.copy(emulator.log, directory) if emulator.log.exists() else None
        emulator.stop()
