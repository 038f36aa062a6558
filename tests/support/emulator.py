"""An embedded emulator in a process of its own, and what a test does with it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from infra.local.data_directory import DataDirectory
from infra.local.emulator import Emulator
from infra.local.emulator_access import Access

_ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=20)


@contextmanager
def data_directory(path: Path) -> Iterator[DataDirectory]:
    """A data directory whose emulator, if there is one, is ended by its own pid."""
    directory = DataDirectory(path)
    try:
        yield directory
    finally:
        directory.run_lock.release()
        if directory.emulator_lock.held():
            os.kill(int(directory.emulator_lock.holder()), signal.SIGKILL)


def client(service: str, emulator: Emulator, access: Access | None = None, region: str = "us-east-1") -> Any:
    """A boto3 client of an emulator that tries once, with its own credentials unless others are given."""
    access = access or emulator.access
    return boto3.client(
        service,
        endpoint_url=emulator.endpoint,
        region_name=region,
        aws_access_key_id=access.key_id,
        aws_secret_access_key=access.secret,
        config=_ONCE,
    )


def killed(emulator: Emulator) -> None:
    """Kill -9, and wait until it has gone."""
    os.kill(emulator.pid, signal.SIGKILL)
    await_condition(lambda: not emulator.alive())


def await_condition(condition: Callable[[], object], bound: float = 30.0) -> None:
    """Ask until it is so; fails after so many seconds."""
    deadline = time.monotonic() + bound
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def process_of(emulator: Emulator) -> subprocess.Popen[bytes]:
    """The process, if this one has started it."""
    assert emulator._process is not None
    return emulator._process
