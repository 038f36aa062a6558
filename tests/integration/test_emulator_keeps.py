"""What the emulator has acknowledged is kept, whatever ends it; a damaged file is named, and left as it is."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.data_directory import DataDirectory
from infra.local.emulator import NOT_SAVED, Emulator, EmulatorError
from tests.support.emulator import await_condition, client, data_directory, killed, process_of

pytestmark = [
    pytest.mark.proof,
    pytest.mark.enable_socket,
    pytest.mark.filterwarnings("ignore:subprocess [0-9]+ is still running:ResourceWarning"),
]
ROOT = Path(__file__).resolve().parents[2]
PEOPLE = "people"
NO_ROOM = 1  # bytes that a file may have


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[DataDirectory]:
    """A data directory; its emulator, if there is one, is ended."""
    with data_directory(tmp_path / "data") as directory:
        yield directory


def create_table(dynamodb: Any, name: str = PEOPLE) -> None:
    """A table with a sort key, an index and a time to live."""
    keys = [{"AttributeName": "room", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}]
    by_name = [{"AttributeName": "room", "KeyType": "HASH"}, {"AttributeName": "name", "KeyType": "RANGE"}]
    dynamodb.create_table(
        TableName=name,
        KeySchema=keys,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("room", "id", "name")],
        GlobalSecondaryIndexes=[
            {"IndexName": "by_name", "KeySchema": by_name, "Projection": {"ProjectionType": "ALL"}}
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    expiry = {"Enabled": True, "AttributeName": "expires_at"}
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)


def key(number: int) -> dict[str, Any]:
    return {"room": {"S": str(number % 3)}, "id": {"S": f"{number:03d}"}}


def person(number: int, name: str) -> dict[str, Any]:
    return {**key(number), "name": {"S": name}, "tags": {"L": [{"N": "1"}, {"M": {"ä": {"BOOL": True}}}]}}


def change(dynamodb: Any, rng: random.Random) -> None:
    """A call of any kind that the service makes; if its condition does not hold it changes nothing."""
    number, name = rng.randrange(60), f"name {rng.randrange(1000)}"
    put = {"Put": {"TableName": PEOPLE, "Item": person(number, name)}}
    delete = {"Delete": {"TableName": PEOPLE, "Key": key((number + 1) % 60)}}
    statement = 'UPDATE "people" SET "name" = ? WHERE room = ? AND id = ?'
    parameters = [{"S": name}, key(number)["room"], key(number)["id"]]
    calls = (
        lambda: dynamodb.put_item(TableName=PEOPLE, Item=person(number, name)),
        lambda: dynamodb.delete_item(TableName=PEOPLE, Key=key(number)),
        lambda: dynamodb.put_item(
            TableName=PEOPLE, Item=person(number, name), ConditionExpression="attribute_not_exists(id)"
        ),
        lambda: dynamodb.update_item(
            TableName=PEOPLE,
            Key=key(number),
            UpdateExpression="SET #n = :n ADD seen :one REMOVE tags[0]",
            ExpressionAttributeNames={"#n": "name"},
            ExpressionAttributeValues={":n": {"S": name}, ":one": {"N": "1"}},
        ),
        lambda: dynamodb.batch_write_item(
            RequestItems={PEOPLE: [{"PutRequest": {"Item": person(one, name)}} for one in rng.sample(range(60), 10)]}
        ),
        lambda: dynamodb.transact_write_items(TransactItems=[put, delete]),
        lambda: dynamodb.batch_execute_statement(Statements=[{"Statement": statement, "Parameters": parameters}]),
        lambda: dynamodb.execute_statement(Statement=statement, Parameters=parameters),
    )
    try:
        rng.choice(calls)()
    except ClientError as error:
        if "Conditional" not in error.response["Error"]["Code"] and "ValidationException" not in str(error):
            raise


def contents(emulator: Emulator) -> dict[str, Any]:
    """Everything in tables and secrets, and the tables' definitions."""
    dynamodb, secrets = client("dynamodb", emulator), client("secretsmanager", emulator)
    found: dict[str, Any] = {}
    for name in dynamodb.list_tables()["TableNames"]:
        table = dynamodb.describe_table(TableName=name)["Table"]
        queried = [
            dynamodb.query(
                TableName=name,
                IndexName="by_name",
                KeyConditionExpression="room = :s",
                ExpressionAttributeValues={":s": {"S": shard}},
            )["Items"]
            for shard in "012"
        ]
        found[name] = (
            {key: value for key, value in table.items() if key not in ("TableSizeBytes", "CreationDateTime")},
            dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"],
            dynamodb.scan(TableName=name)["Items"],
            [sorted(items, key=lambda item: item["id"]["S"]) for items in queried],
        )
    for secret in secrets.list_secrets()["SecretList"]:
        found[secret["Name"]] = secrets.get_secret_value(SecretId=secret["Name"])["SecretString"]
    return found


@pytest.mark.parametrize("durability", ["process", "power"])
@pytest.mark.parametrize("snapshots", ["1000", "0"])
def test_killed_at_any_time_it_keeps_everything(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch, durability: str, snapshots: str
) -> None:
    """Calls of every kind with kills between them, with and without snapshots meanwhile: expects the same tables
    afterwards."""
    monkeypatch.setenv("DURABILITY", durability)
    monkeypatch.setenv("EMULATOR_SNAPSHOT_SECONDS", snapshots)
    rng = random.Random(f"{durability} {snapshots}")
    emulator = Emulator.start_or_adopt(directory)
    create_table(client("dynamodb", emulator))
    client("secretsmanager", emulator).create_secret(Name="token", SecretString="first")
    for round_number in range(3):
        dynamodb = client("dynamodb", emulator)
        for _ in range(40):
            change(dynamodb, rng)
        if snapshots == "0":
            saved = set(directory.emulator_state.glob("snapshot-*.jsonl"))
            change(dynamodb, rng)
            await_condition(lambda: set(directory.emulator_state.glob("snapshot-*.jsonl")) - saved)  # noqa: B023
            change(dynamodb, rng)
        if round_number == 1:
            create_table(dynamodb, "more")
            client("secretsmanager", emulator).put_secret_value(SecretId="token", SecretString="second")
        if round_number == 2:
            dynamodb.delete_table(TableName="more")
        before = contents(emulator)
        killed(emulator)
        emulator = Emulator.start_or_adopt(directory)
        assert contents(emulator) == before
    assert emulator.stop()
    emulator = Emulator.start_or_adopt(directory)
    assert contents(emulator) == before
    assert len(list(directory.emulator_state.glob("snapshot-*"))) <= 2


@pytest.mark.parametrize("durability", ["process", "power"])
def test_killed_during_writes_it_keeps_all_that_it_acknowledged(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch, durability: str
) -> None:
    """Four writers, and a kill in the middle: each finds all acknowledged writes, and at most one more."""
    monkeypatch.setenv("DURABILITY", durability)
    monkeypatch.setenv("EMULATOR_SNAPSHOT_SECONDS", "0")
    emulator = Emulator.start_or_adopt(directory)
    create_table(client("dynamodb", emulator))
    answered = [0] * 4

    def write(writer: int) -> None:
        dynamodb = client("dynamodb", emulator)
        try:
            for number in range(1, 100_000):
                row = {"room": {"S": str(writer)}, "id": {"S": "counter"}, "name": {"S": str(number)}}
                dynamodb.put_item(TableName=PEOPLE, Item=row)
                answered[writer] = number
        except (BotoCoreError, ClientError):
            pass

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for one in writers:
        one.start()
    await_condition(lambda: min(answered) > 50 and list(directory.emulator_state.glob("snapshot-*.jsonl")))
    killed(emulator)
    for one in writers:
        one.join()
    again = client("dynamodb", Emulator.start_or_adopt(directory))
    for writer, number in enumerate(answered):
        row = again.get_item(TableName=PEOPLE, Key={"room": {"S": str(writer)}, "id": {"S": "counter"}})["Item"]
        assert number <= int(row["name"]["S"]) <= number + 1


def test_a_transaction_that_is_repeated_after_a_kill_is_recognised(directory: DataDirectory) -> None:
    """Its answer was lost: a repeat with the same token gets a success, not a conflict."""
    emulator = Emulator.start_or_adopt(directory)
    create_table(client("dynamodb", emulator))
    put = {"TableName": PEOPLE, "Item": person(1, "one"), "ConditionExpression": "attribute_not_exists(id)"}
    request: dict[str, Any] = {"TransactItems": [{"Put": put}], "ClientRequestToken": "the-token"}
    client("dynamodb", emulator).transact_write_items(**request)
    killed(emulator)
    again = client("dynamodb", Emulator.start_or_adopt(directory))
    again.transact_write_items(**request)
    with pytest.raises(ClientError, match="TransactionCanceled"):
        again.transact_write_items(TransactItems=[{"Put": put}])


@pytest.mark.parametrize("durability", ["process", "power"])
def test_on_a_full_disk_nothing_is_acknowledged_or_half_done(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch, durability: str
) -> None:
    """Writes are refused and undone, reads work, and it is reported; with room again everything works, after a kill
    too."""
    monkeypatch.setenv("DURABILITY", durability)
    emulator = Emulator.start_or_adopt(directory)
    dynamodb = client("dynamodb", emulator)
    create_table(dynamodb)
    dynamodb.put_item(TableName=PEOPLE, Item=person(1, "before"))
    before = contents(emulator)
    assert emulator.trouble() == ""
    limits = resource.prlimit(emulator.pid, resource.RLIMIT_FSIZE, (NO_ROOM, resource.RLIM_INFINITY))
    two = [{"Put": {"TableName": PEOPLE, "Item": person(number, "new")}} for number in (1, 2)]
    for call in (
        lambda: dynamodb.put_item(TableName=PEOPLE, Item=person(1, "after")),
        lambda: dynamodb.delete_item(TableName=PEOPLE, Key=key(1)),
        lambda: dynamodb.transact_write_items(TransactItems=two),
        lambda: create_table(dynamodb, "more"),
        lambda: dynamodb.delete_table(TableName=PEOPLE),
        lambda: client("secretsmanager", emulator).create_secret(Name="token", SecretString="s"),
    ):
        with pytest.raises(ClientError, match="InsufficientStorage"):
            call()
    assert contents(emulator) == before
    assert "File too large" in emulator.trouble()
    resource.prlimit(emulator.pid, resource.RLIMIT_FSIZE, limits)
    dynamodb.put_item(TableName=PEOPLE, Item=person(2, "later"))
    assert emulator.trouble() == ""
    after = contents(emulator)
    killed(emulator)
    assert contents(Emulator.start_or_adopt(directory)) == after


def test_a_disk_that_is_full_at_the_end_loses_nothing(directory: DataDirectory) -> None:
    """No last snapshot can be written: the exit code says so, and the journal has everything."""
    emulator = Emulator.start_or_adopt(directory)
    create_table(client("dynamodb", emulator))
    before = contents(emulator)
    resource.prlimit(emulator.pid, resource.RLIMIT_FSIZE, (NO_ROOM, resource.RLIM_INFINITY))
    assert emulator.stop()
    assert process_of(emulator).returncode == NOT_SAVED
    assert not emulator.saved
    assert contents(Emulator.start_or_adopt(directory)) == before


def two_generations(directory: DataDirectory) -> dict[str, Any]:
    """Files of two generations and a journal after them, all complete, and their content."""
    for name in ("one", "two", "three"):
        emulator = Emulator.start_or_adopt(directory)
        dynamodb = client("dynamodb", emulator)
        if name == "one":
            create_table(dynamodb)
        dynamodb.put_item(TableName=PEOPLE, Item=person(1, name))
        dynamodb.put_item(TableName=PEOPLE, Item=person(len(name), name))
        if name != "three":
            assert emulator.stop()
    before = contents(emulator)
    killed(emulator)
    return before


@pytest.mark.parametrize("damage", ["changed", "cut", "emptied", "removed"])
@pytest.mark.parametrize("kind", ["snapshot", "journal"])
def test_a_damaged_file_stops_the_start_and_is_left_as_it_is(directory: DataDirectory, kind: str, damage: str) -> None:
    """The message names the file and what to do; after that everything is there again."""
    before = two_generations(directory)
    files = sorted(directory.emulator_state.glob("*.jsonl"))
    newest = [path for path in files if path.name.startswith(kind)][-1]
    whole = newest.read_bytes()
    shutil.copy(newest, directory.path / "good copy")
    if damage == "changed":
        newest.write_bytes(whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
    elif damage == "cut":
        # A journal that is cut at its end is what a kill leaves: in its middle it is not.
        newest.write_bytes(whole[:70] + whole[90:] if kind == "journal" else whole[: len(whole) // 2])
    elif damage == "emptied":
        newest.write_bytes(b"")
    else:
        newest.unlink()
    if (kind, damage) == ("snapshot", "removed"):
        # The generation before it has everything, too.
        assert contents(Emulator.start_or_adopt(directory)) == before
        return
    now = {path: path.read_bytes() for path in files if path.exists()}
    for _ in range(2):
        with pytest.raises(
            EmulatorError, match=rf"{newest} is damaged at byte \d+: .*\. Nothing was changed: "
        ) as told:
            Emulator.start_or_adopt(directory)
    assert {path: path.read_bytes() for path in directory.emulator_state.glob("*.jsonl")} == now
    if kind == "snapshot":
        move = f"mv {newest} {newest}.damaged"
        assert move in str(told.value)
        subprocess.run(move.split(), check=True)
    else:
        assert "put a good copy in its place" in str(told.value)
        shutil.copy(directory.path / "good copy", newest)
    assert contents(Emulator.start_or_adopt(directory)) == before


def test_files_of_an_earlier_version_are_taken_over(directory: DataDirectory) -> None:
    """MiniStack's own files: tables, times to live and queued messages. They are kept, and not read again."""
    state = directory.emulator_state
    save = f"""
import asyncio, json, os, sys
os.environ.update(PERSIST_STATE="1", STATE_DIR={str(state)!r}, GATEWAY_PORT="4566")
from ministack.core import persistence
from ministack.services import dynamodb, sqs
def call(module, target, **body):
    headers = {{"x-amz-target": target, "host": "127.0.0.1:1"}}
    answer = asyncio.run(module.handle_request("POST", "/", headers, json.dumps(body).encode(), {{}}))
    assert answer[0] == 200, answer
call(dynamodb, "DynamoDB_20120810.CreateTable", TableName="people", BillingMode="PAY_PER_REQUEST",
     KeySchema=[{{"AttributeName": "id", "KeyType": "HASH"}}],
     AttributeDefinitions=[{{"AttributeName": "id", "AttributeType": "S"}}])
call(dynamodb, "DynamoDB_20120810.PutItem", TableName="people", Item={{"id": {{"S": "one"}}}})
call(dynamodb, "DynamoDB_20120810.UpdateTimeToLive", TableName="people",
     TimeToLiveSpecification={{"Enabled": True, "AttributeName": "expires_at"}})
call(sqs, "AmazonSQS.CreateQueue", QueueName="send")
persistence.save_all({{"dynamodb": dynamodb.get_state, "sqs": sqs.get_state}})
"""
    subprocess.run([sys.executable, "-c", save], cwd=ROOT, check=True, env={**os.environ, "LOG_LEVEL": "ERROR"})
    (state / "dynamodb.json").rename(directory.path / "kept")
    (state / "dynamodb.json").write_text("{")
    with pytest.raises(EmulatorError, match=rf"{state / 'dynamodb.json'} is damaged"):
        Emulator.start_or_adopt(directory)
    (directory.path / "kept").rename(state / "dynamodb.json")
    for _ in range(2):
        emulator = Emulator.start_or_adopt(directory)
        dynamodb = client("dynamodb", emulator)
        assert dynamodb.get_item(TableName="people", Key={"id": {"S": "one"}})["Item"]
        described = dynamodb.describe_time_to_live(TableName="people")["TimeToLiveDescription"]
        assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}
        killed(emulator)
    assert json.loads((state / "dynamodb.json.old").read_text())


def test_another_durability_starts_another_emulator(directory: DataDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator that is left from a killed run has that run's setting."""
    first = Emulator.start_or_adopt(directory)
    create_table(client("dynamodb", first))
    before = contents(first)
    monkeypatch.setenv("DURABILITY", "power")
    second = Emulator.start_or_adopt(directory)
    assert second.pid != first.pid
    assert contents(second) == before
