"""The simulated tables say no as AWS documents it; sources are in tests/support/table_limits.py and capacity.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.aws_clients import aws_client
from chalicelib.config import Settings
from tests.support.capacity import Capacity
from tests.support.simulation import Simulation, new_simulation

TABLE = Settings().ledger_table
BUSY = {"ProvisionedThroughputExceededException", "ThrottlingException"}
BUSY_STATEMENT = {"ProvisionedThroughputExceeded", "ThrottlingError"}


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with new_simulation(workers_of={}) as made:
        yield made


@pytest.fixture
def dynamodb(simulation: Simulation) -> Any:
    """A client that tries nothing twice."""
    return aws_client("dynamodb", patient=False)


def row(number: int, shard: str = "one", **more: Any) -> dict[str, Any]:
    return {"ledger_key": {"S": shard}, "bucket_no": {"N": str(number)}, "revision": {"N": "1"}, **more}


def insert(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "Statement": f'INSERT INTO "{TABLE}" VALUE {{{", ".join(f"{name!r}: ?" for name in one)}}}',
            "Parameters": list(one.values()),
        }
        for one in rows
    ]


def stored(simulation: Simulation) -> int:
    return len(simulation.ledger_items())


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def codes(dynamodb: Any, rows: Iterable[dict[str, Any]]) -> Counter[str]:
    """How often single writes of these rows ended with which code; "" for those that were taken."""
    found: Counter[str] = Counter()
    for one in rows:
        try:
            dynamodb.put_item(TableName=TABLE, Item=one)
        except ClientError as error:
            found[error.response["Error"]["Code"]] += 1
        else:
            found[""] += 1
    return found


def test_a_partition_takes_its_share_of_a_second_and_the_next_second_as_much_again(
    simulation: Simulation, dynamodb: Any
) -> None:
    """Nothing is saved up: ten seconds of silence allow no more than one second does."""
    simulation.limits.limit(Capacity(partition_writes=20))
    simulation.clock.sleep(10)
    for second in range(2):
        found = codes(dynamodb, [row(100 * second + number) for number in range(50)])
        assert found[""] == 20
        assert set(found) == {""} | BUSY
        simulation.clock.sleep(1)
    assert stored(simulation) == 40


def test_four_partitions_share_the_keys(simulation: Simulation, dynamodb: Any) -> None:
    """What one partition refuses another one takes."""
    simulation.limits.limit(Capacity(partition_writes=10))
    assert codes(dynamodb, [row(number, f"shard {number}") for number in range(400)])[""] == 40


def test_the_quota_of_a_table_is_another_error(simulation: Simulation, dynamodb: Any) -> None:
    simulation.limits.limit(Capacity(table_writes=3))
    found = codes(dynamodb, [row(number, f"shard {number}") for number in range(4)])
    assert found == {"": 3, "RequestLimitExceeded": 1}


def test_a_write_takes_a_unit_for_each_kilobyte(simulation: Simulation, dynamodb: Any) -> None:
    simulation.limits.limit(Capacity(partition_writes=10))
    dynamodb.put_item(TableName=TABLE, Item=row(1, reason={"S": "x" * 8000}))  # 8 units
    dynamodb.put_item(TableName=TABLE, Item=row(2, reason={"S": "x" * 1000}))  # 2
    with pytest.raises(ClientError):
        dynamodb.put_item(TableName=TABLE, Item=row(3))


def test_a_hot_index_refuses_the_write_of_its_table(simulation: Simulation, dynamodb: Any) -> None:
    """The partitions of the table have room; all rows go to one key of the index."""
    simulation.limits.limit(Capacity(partition_writes=5))
    rows = [
        row(number, f"shard {number}", trouble_of={"S": "mailing"}, trouble_at={"N": str(number)})
        for number in range(40)
    ]
    found = codes(dynamodb, rows)
    assert found[""] == 5 == stored(simulation)
    assert set(found) == {""} | BUSY


def test_an_index_takes_nothing_of_a_write_that_changes_nothing_in_it(simulation: Simulation, dynamodb: Any) -> None:
    """The index of parked rows holds keys only: an update of another attribute leaves it alone."""
    parked = {"parked_in": {"S": "hot"}, "due_at": {"N": "1"}}
    for number in range(5):
        dynamodb.put_item(TableName=TABLE, Item=row(number, f"shard {number}", **parked))
    simulation.limits.limit(Capacity(partition_writes=2))
    for number in range(4):  # four partitions of the table, one of the index
        dynamodb.put_item(TableName=TABLE, Item=row(number, f"shard {number}", **parked, reason={"S": "other"}))


def test_batch_write_says_what_is_left(simulation: Simulation, dynamodb: Any) -> None:
    """UnprocessedItems with HTTP 200; an exception if there was no room for any."""
    simulation.limits.limit(Capacity(partition_writes=20))
    wanted = [{"PutRequest": {"Item": row(number)}} for number in range(25)]
    answer = dynamodb.batch_write_item(RequestItems={TABLE: wanted})
    left = answer["UnprocessedItems"][TABLE]
    assert len(left) == 5
    assert all(one in wanted for one in left)
    assert stored(simulation) == 20
    with pytest.raises(ClientError) as error:
        dynamodb.batch_write_item(RequestItems={TABLE: left})
    assert code_of(error) == "ProvisionedThroughputExceededException"
    simulation.clock.sleep(1)
    assert dynamodb.batch_write_item(RequestItems={TABLE: left})["UnprocessedItems"] == {}
    assert stored(simulation) == 25


def test_a_batch_of_statements_has_an_answer_for_each(simulation: Simulation, dynamodb: Any) -> None:
    simulation.limits.limit(Capacity(partition_writes=20))
    answer = dynamodb.batch_execute_statement(Statements=insert(*(row(number) for number in range(25))))
    answers = [one.get("Error", {}).get("Code") for one in answer["Responses"]]
    assert answers[:20] == [None] * 20
    assert set(answers[20:]) <= BUSY_STATEMENT
    assert stored(simulation) == 20


def test_a_batch_of_which_nothing_is_taken_is_refused_as_a_whole_or_one_by_one(
    simulation: Simulation, dynamodb: Any
) -> None:
    simulation.limits.limit(Capacity(partition_writes=20))
    dynamodb.batch_execute_statement(Statements=insert(*(row(number) for number in range(20))))
    seen = set()
    for _ in range(20):
        try:
            answer = dynamodb.batch_execute_statement(Statements=insert(row(50), row(51)))
        except ClientError as error:
            seen.add(error.response["Error"]["Code"])
        else:
            seen |= {one["Error"]["Code"] for one in answer["Responses"]}
    assert seen == {"ThrottlingException"} | BUSY_STATEMENT
    assert stored(simulation) == 20


def test_reads_take_by_size_and_half_if_not_consistent(simulation: Simulation, dynamodb: Any) -> None:
    """9 KB are three units, or one and a half."""
    dynamodb.put_item(TableName=TABLE, Item=row(1, reason={"S": "x" * 9000}))
    key = {"ledger_key": {"S": "one"}, "bucket_no": {"N": "1"}}
    for consistent, expected in ((True, 4), (False, 7)):
        simulation.clock.sleep(60)
        simulation.limits.limit(Capacity(partition_reads=10))
        for _ in range(expected):
            dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=consistent)
        with pytest.raises(ClientError):
            dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=consistent)


def test_a_query_takes_what_its_page_holds(simulation: Simulation, dynamodb: Any) -> None:
    """A page of 100 KB takes 13 units of a second that has 10: the next one has to wait for the second after."""
    for number in range(100):
        dynamodb.put_item(TableName=TABLE, Item=row(number, reason={"S": "x" * 1000}))
    simulation.limits.limit(Capacity(partition_reads=10))
    query = {"TableName": TABLE, "KeyConditionExpression": "ledger_key = :k"}
    query["ExpressionAttributeValues"] = {":k": {"S": "one"}}
    assert dynamodb.query(**query)["Count"] == 100
    simulation.clock.sleep(1)
    assert dynamodb.query(**query)["Count"] == 100  # 3 units of debt, and 7 are left
    with pytest.raises(ClientError):
        dynamodb.query(**query)


def test_batch_get_says_which_keys_are_left(simulation: Simulation, dynamodb: Any) -> None:
    rows = [row(number) for number in range(30)]
    for one in rows:
        dynamodb.put_item(TableName=TABLE, Item=one)
    simulation.limits.limit(Capacity(partition_reads=20))
    keys = [{"ledger_key": one["ledger_key"], "bucket_no": one["bucket_no"]} for one in rows]
    answer = dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})
    assert len(answer["Responses"][TABLE]) == 20
    assert answer["UnprocessedKeys"] == {TABLE: {"Keys": keys[20:], "ConsistentRead": True}}
    with pytest.raises(ClientError) as error:
        dynamodb.batch_get_item(RequestItems=answer["UnprocessedKeys"])
    assert code_of(error) == "ProvisionedThroughputExceededException"


def test_batch_get_leaves_what_goes_beyond_16_megabytes(simulation: Simulation, dynamodb: Any) -> None:
    """API Reference, BatchGetItem: up to 16 MB, and as many as 100 items."""
    rows = [row(number, reason={"S": "x" * 390_000}) for number in range(50)]
    for one in rows:
        dynamodb.put_item(TableName=TABLE, Item=one)
    simulation.limits.limit(Capacity(partition_reads=10**9, table_reads=10**9))
    keys = [{"ledger_key": one["ledger_key"], "bucket_no": one["bucket_no"]} for one in rows]
    answer = dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": keys}})
    assert len(answer["Responses"][TABLE]) == 43
    assert len(answer["UnprocessedKeys"][TABLE]["Keys"]) == 7
    too_many = [{**keys[0], "bucket_no": {"N": str(number)}} for number in range(101)]
    with pytest.raises(ClientError) as error:
        dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": too_many}})
    assert code_of(error) == "ValidationException"


def test_batch_get_may_leave_keys_for_no_reason_at_all(simulation: Simulation, dynamodb: Any) -> None:
    rows = [row(number) for number in range(30)]
    for one in rows:
        dynamodb.put_item(TableName=TABLE, Item=one)
    simulation.limits.unprocessed = 0.5
    keys = [{"ledger_key": one["ledger_key"], "bucket_no": one["bucket_no"]} for one in rows]
    answer = dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": keys}})
    left = answer["UnprocessedKeys"][TABLE]["Keys"]
    assert 0 < len(left) < 30
    assert len(answer["Responses"][TABLE]) + len(left) == 30


def test_a_query_ends_its_page_after_a_megabyte(simulation: Simulation, dynamodb: Any) -> None:
    for number in range(4):
        dynamodb.put_item(TableName=TABLE, Item=row(number, reason={"S": "x" * 390_000}))
    values = {":k": {"S": "one"}}
    answer = dynamodb.query(TableName=TABLE, KeyConditionExpression="ledger_key = :k", ExpressionAttributeValues=values)
    assert answer["Count"] == 2
    assert "LastEvaluatedKey" in answer


# -- transactions


def put(one: dict[str, Any]) -> dict[str, Any]:
    return {"Put": {"TableName": TABLE, "Item": one}}


def test_a_transaction_without_room_changes_nothing(simulation: Simulation, dynamodb: Any) -> None:
    """It takes two units for each write, and names the action that there was no room for."""
    simulation.limits.limit(Capacity(partition_writes=5))
    with pytest.raises(ClientError) as error:
        dynamodb.transact_write_items(TransactItems=[put(row(number)) for number in range(3)])
    assert code_of(error) == "TransactionCanceledException"
    reasons = [reason["Code"] for reason in error.value.response["CancellationReasons"]]
    assert reasons[:2] == ["None", "None"]
    assert reasons[2] in BUSY_STATEMENT
    assert stored(simulation) == 0


@pytest.fixture
def conflicts(simulation: Simulation, dynamodb: Any) -> dict[str, Any]:
    """What comes of calls that meet a transaction on the row 1, by name."""
    simulation.limits.transaction_takes = lambda: 0.01
    results: dict[str, Any] = {}

    def note(name: str, operation: str, **request: Any) -> None:
        try:
            results[name] = getattr(dynamodb, operation)(**request)
        except ClientError as error:
            results[name] = error.response

    def meet() -> None:
        simulation.clock.sleep(0.005)
        note("put", "put_item", TableName=TABLE, Item=row(1))
        note("other", "put_item", TableName=TABLE, Item=row(3))
        note("get", "get_item", TableName=TABLE, Key={name: row(1)[name] for name in ("ledger_key", "bucket_no")})
        note("transaction", "transact_write_items", TransactItems=[put(row(1)), put(row(4))])
        note("statements", "batch_execute_statement", Statements=insert(row(1), row(5)))
        wanted = [{"PutRequest": {"Item": row(number)}} for number in (1, 6)]
        note("batch", "batch_write_item", RequestItems={TABLE: wanted})

    first = [put(row(1)), put(row(2))]
    simulation.scheduler.spawn("first", lambda: note("first", "transact_write_items", TransactItems=first))
    simulation.scheduler.spawn("meeting", meet)
    simulation.run_for(1)
    return results


def test_writes_that_meet_a_transaction_are_refused(conflicts: dict[str, Any]) -> None:
    """Developer Guide, "Transaction conflict handling in DynamoDB"."""
    assert conflicts["put"]["Error"]["Code"] == "TransactionConflictException"
    assert conflicts["transaction"]["Error"]["Code"] == "TransactionCanceledException"
    assert [one["Code"] for one in conflicts["transaction"]["CancellationReasons"]] == ["TransactionConflict", "None"]
    answers = [one.get("Error", {}).get("Code") for one in conflicts["statements"]["Responses"]]
    assert answers == ["TransactionConflict", None]
    left = conflicts["batch"]["UnprocessedItems"][TABLE]
    assert [one["PutRequest"]["Item"]["bucket_no"]["N"] for one in left] == ["1"]


def test_what_does_not_meet_it_goes_through(simulation: Simulation, conflicts: dict[str, Any]) -> None:
    for name in ("first", "other", "get"):
        assert "Error" not in conflicts[name]
    assert {item["bucket_no"]["N"] for item in simulation.ledger_items()} == {"1", "2", "3", "5", "6"}
