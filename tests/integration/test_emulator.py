"""The life of the embedded emulator: found again, saved, never shared, and never left behind for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from chalicelib.config import Settings
from infra.local.data_directory import DataDirectory, InUseError, write_private
from infra.local.emulator import Emulator
from infra.provision import provision

pytestmark = [
    pytest.mark.enable_socket,
    # It is meant to outlive whoever started it; the fixture ends it.
    pytest.mark.filterwarnings("ignore:subprocess [0-9]+ is still running:ResourceWarning"),
]
SETTINGS = Settings(resource_prefix="emulated")
START_AND_DIE = """
import os, signal, sys
from infra.local.data_directory import DataDirectory
from infra.local.emulator import Emulator
directory = DataDirectory(sys.argv[1])
directory.claim()
print(Emulator.start_or_adopt(directory).pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[DataDirectory]:
    """A data directory; its emulator, if there is one, is ended by its pid."""
    directory = DataDirectory(tmp_path / "data")
    yield directory
    directory.run_lock.release()
    if directory.emulator_lock.held():
        os.kill(int(directory.emulator_lock.holder()), signal.SIGKILL)


def _client(service: str, emulator: Emulator) -> Any:
    return boto3.client(
        service,
        endpoint_url=emulator.endpoint,
        region_name="eu-west-1",
        aws_access_key_id=emulator.access.key_id,
        aws_secret_access_key=emulator.access.secret,
    )


def _fill(emulator: Emulator) -> None:
    dynamodb, sqs = _client("dynamodb", emulator), _client("sqs", emulator)
    provision(SETTINGS, dynamodb, sqs)
    dynamodb.put_item(TableName="emulated-clients", Item={"client_id": {"S": "one"}})
    url = sqs.get_queue_url(QueueName="emulated-send")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="waiting")


def _is_there(emulator: Emulator, queued: bool = True) -> bool:
    """Whether what `_fill` wrote is still there after the resources were provisioned again, and with `queued` its
    messages."""
    dynamodb, sqs = _client("dynamodb", emulator), _client("sqs", emulator)
    provision(SETTINGS, dynamodb, sqs)
    item = dynamodb.get_item(TableName="emulated-clients", Key={"client_id": {"S": "one"}}).get("Item")
    url = sqs.get_queue_url(QueueName="emulated-send")["QueueUrl"]
    messages = sqs.receive_message(QueueUrl=url).get("Messages", [])
    expiry = dynamodb.describe_time_to_live(TableName="emulated-users")["TimeToLiveDescription"]["TimeToLiveStatus"]
    waiting = ["waiting"] if queued else []
    return item is not None and [one["Body"] for one in messages] == waiting and expiry == "ENABLED"


def _wait_until(condition: Callable[[], object], bound: float = 20.0) -> None:
    deadline = time.monotonic() + bound
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_stopped_emulator_starts_again_with_its_data(directory: DataDirectory) -> None:
    """Expects tables, items, expiry and queued messages after a graceful stop, even if the port is another one."""
    first = Emulator.start_or_adopt(directory)
    _fill(first)
    assert first.stop()
    assert not directory.emulator_lock.held()
    second = Emulator.start_or_adopt(directory)
    assert not second.adopted
    assert _is_there(second)


def test_a_restart_can_keep_the_port(directory: DataDirectory) -> None:
    """Expects clients that know the endpoint to find the emulator again where it was."""
    first = Emulator.start_or_adopt(directory)
    os.kill(first.pid, signal.SIGKILL)
    _wait_until(lambda: not first.alive())
    assert Emulator.start_or_adopt(directory, first.port).endpoint == first.endpoint


def test_the_emulator_survives_a_killed_service_and_is_used_again(directory: DataDirectory) -> None:
    """Expects the next run to find the same emulator."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", START_AND_DIE, str(directory.path)]
    died = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL
    directory.claim()
    emulator = Emulator.start_or_adopt(directory)
    assert (emulator.adopted, emulator.pid) == (True, int(died.stdout))
    assert emulator.alive()
    assert emulator.stop()
    assert not emulator.alive()


def test_an_outdated_file_is_ignored(directory: DataDirectory) -> None:
    """Expects a new emulator of our own if the file names somebody else's port."""
    stranger = Emulator.start_or_adopt(DataDirectory(directory.path / "stranger"))
    try:
        write_private(directory.emulator_file, {"pid": stranger.pid, "port": stranger.port, "instance": "other"})
        emulator = Emulator.start_or_adopt(directory)
        assert (emulator.adopted, emulator.port == stranger.port) == (False, False)
    finally:
        stranger.stop()


def test_a_killed_emulator_loses_nothing_that_it_acknowledged(directory: DataDirectory) -> None:
    """Expects a kill -9 right after the answer to cost no table and no item; queues only have hints, and start
    empty."""
    first = Emulator.start_or_adopt(directory)
    _fill(first)
    os.kill(first.pid, signal.SIGKILL)
    _wait_until(lambda: not first.alive())
    second = Emulator.start_or_adopt(directory)
    assert second.queues_are_lost()
    assert _is_there(second, queued=False)


def test_an_abandoned_emulator_ends_by_itself_with_its_data(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expects an emulator that no process uses to end after its idle time, with its state saved."""
    monkeypatch.setenv("EMULATOR_IDLE_SECONDS", "0.5")
    directory.claim()
    first = Emulator.start_or_adopt(directory)
    _fill(first)
    directory.run_lock.release()
    _wait_until(lambda: not first.alive())
    directory.claim()  # or the next one would end while it is being asked
    assert _is_there(Emulator.start_or_adopt(directory))


def test_a_directory_is_used_by_one_run_at_a_time(directory: DataDirectory) -> None:
    """Expects a second run in the same directory to be refused, with the first one's pid, but not a later one."""
    directory.claim()
    with pytest.raises(InUseError, match=rf"pid {os.getpid()}\)"):
        DataDirectory(directory.path).claim()
    directory.run_lock.release()
    second = DataDirectory(directory.path)
    second.claim()
    second.run_lock.release()


def test_two_directories_have_two_emulators(tmp_path: Path) -> None:
    """Expects emulators of different directories to share nothing."""
    emulators = [Emulator.start_or_adopt(DataDirectory(tmp_path / name)) for name in ("a", "b")]
    try:
        _fill(emulators[0])
        assert _client("dynamodb", emulators[1]).list_tables()["TableNames"] == []
    finally:
        assert [emulator.stop() for emulator in emulators] == [True, True]
