"""Items as the emulator keeps them: their keys, their sizes, what a write of one takes, and how DynamoDB says no."""

from __future__ import annotations

from typing import Any

from ministack.services import dynamodb as engine

from tests.support.capacity import Need

Key = tuple[str, str, str]  # table, hash and sort key as the engine keeps them
Reply = tuple[int, dict[str, Any]]
_TYPES = "com.amazonaws.dynamodb.v20120810#"


def needs_of_write(
    table: dict[str, Any], hash_key: str, old: dict[str, Any] | None, new: dict[str, Any] | None, price: int
) -> list[Need]:
    """A unit for each KB of the larger of both items, and for each index what changes in it."""
    size = max(engine._item_size_bytes(old or {}), engine._item_size_bytes(new or {}))
    needs = [Need(table["TableName"], hash_key, "write", price * engine._capacity_kb(size))]
    for index in table.get("GlobalSecondaryIndexes") or []:
        before, after = (engine._index_write_view(table, index, item) for item in (old, new))
        if before == after:
            continue
        resource = f"{table['TableName']}/{index['IndexName']}"
        hash_name = index["KeySchema"][0]["AttributeName"]
        entries = [after] if before and after and before[0] == after[0] else [before, after]
        for entry in entries:
            if entry:
                units = engine._capacity_kb(engine._item_size_bytes(entry[1]))
                needs.append(Need(resource, engine._extract_key_val(entry[1][hash_name]), "write", units))
    return needs


def key_of(name: str, values: dict[str, Any]) -> Key:
    table = engine._tables[name]
    sort = engine._extract_key_val(values[table["sk_name"]]) if table["sk_name"] else "__no_sort__"
    return name, engine._extract_key_val(values[table["pk_name"]]), sort


def size_of(key: Key) -> int:
    size: int = engine._item_size_bytes(engine._tables[key[0]]["items"].get(key[1], {}).get(key[2]) or {})
    return size


def error(code: str) -> Reply:
    return 400, {"__type": f"{_TYPES}{code}", "message": "refused by the test"}


def cancelled(keys: list[Key], to_blame: set[Key], code: str) -> Reply:
    codes = [code if key in to_blame else "None" for key in keys]
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]"
    return 400, {
        "__type": f"{_TYPES}TransactionCanceledException",
        "message": message,
        "CancellationReasons": [{"Code": one} for one in codes],
    }
