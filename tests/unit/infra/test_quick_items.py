"""The emulator's quick way with items: sizes, copies and parts are those of MiniStack."""

from __future__ import annotations

import copy
import itertools
import random
from inspect import unwrap
from typing import Any
from unittest import mock

import pytest
from ministack.services import dynamodb as engine

from infra.local.quick_items import choosing, copied, cutting, keying, paging, sizing
from infra.local.quick_json import dumps

_TEXTS = ("", "a", "name", "\u05e9\u05dc\u05d5\u05dd", "\N{PARTY POPPER}", "x" * 300)
_NUMBERS = ("0", "5", "-7", "1795895522608", "1.50", "-0.001", "1E+20", "no number")
_NAMES = ("k", "s", "nick", "\u05e9", "more", "tags")
TABLE: dict[str, Any] = {
    "pk_name": "k",
    "sk_name": "s",
    "GlobalSecondaryIndexes": [
        {"IndexName": "all", "KeySchema": [{"AttributeName": "nick"}], "Projection": {"ProjectionType": "ALL"}},
        {"IndexName": "keys", "KeySchema": [{"AttributeName": "nick"}], "Projection": {"ProjectionType": "KEYS_ONLY"}},
        {"IndexName": "unsaid", "KeySchema": [{"AttributeName": "nick"}]},
    ],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "some",
            "KeySchema": [{"AttributeName": "k"}, {"AttributeName": "more"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["tags"]},
        }
    ],
}


def value(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    """A value of any type."""
    match rng.choice(["S", "S", "N", "BOOL", "NULL", "B", "SS", "NS", "L", "M"][: 10 if depth < 3 else 6]):
        case "S":
            return {"S": rng.choice(_TEXTS)}
        case "N":
            return {"N": rng.choice(_NUMBERS)}
        case "BOOL":
            return {"BOOL": rng.random() < 0.5}
        case "NULL":
            return {"NULL": True}
        case "B":
            return {"B": rng.choice(("aGVsbG8=", "", "not base64"))}
        case "SS":
            return {"SS": list(_TEXTS[1 : rng.randrange(2, 6)])}
        case "NS":
            return {"NS": list(_NUMBERS[: rng.randrange(1, 5)])}
        case "L":
            return {"L": [value(rng, depth + 1) for _ in range(rng.randrange(4))]}
        case _:
            return {"M": {rng.choice(_TEXTS): value(rng, depth + 1) for _ in range(rng.randrange(4))}}


def items(seed: int) -> list[dict[str, Any]]:
    """Items with some of the attributes."""
    rng = random.Random(seed)
    return [{name: value(rng) for name in _NAMES if rng.random() < 0.7} for _ in range(200)]


@pytest.mark.parametrize("seed", range(3))
def test_a_size_is_what_the_engine_counts(seed: int) -> None:
    count = unwrap(engine._item_size_bytes)
    size = sizing(count, engine._attribute_value_size)
    for item in [*items(seed), {"wrong": 5}, {"wrong": {"S": 5}}, {"wrong": {"S": "a", "N": "1"}}]:
        assert size(item) == count(item), item
    assert size(None) == count(None)


@pytest.mark.parametrize("seed", range(3))
def test_a_page_ends_where_it_ends_in_the_engine(seed: int) -> None:
    """Also at a bound of bytes, which is lower here, that falls into it, and that an index counts less than items."""
    given = items(seed)
    for most in (300, 3_000, 1_048_576):
        own = unwrap(engine._paginate_evaluated_items)
        with mock.patch.object(engine, "_DDB_PAGE_SIZE_BYTES", most):
            page = paging(own, most)
            for count, limit, index in itertools.product((0, 1, 5, 200), (None, 1, 3, 5, "5", 1000), (None, "keys")):
                assert page(given[:count], limit, TABLE, index) == own(given[:count], limit, TABLE, index)


def test_the_json_of_an_item_is_longer_than_the_item_is_counted() -> None:
    """Expects this of every kind of value, as no item of a page is measured that is short enough as JSON."""
    for item in [*items(7), {}, {"": {"M": {}}}, {"a": {"L": [{"N": "-1.5"}]}}, {"n": {"NS": ["-1"]}}]:
        assert len(dumps(item)) >= engine._item_size_bytes(item), item


@pytest.mark.parametrize("seed", range(3))
def test_a_copy_is_equal_and_shares_nothing_that_changes(seed: int) -> None:
    def change(node: Any) -> None:
        for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            change(one)
        if isinstance(node, dict | list):
            node.clear()

    for item in items(seed):
        before = copy.deepcopy(item)
        taken = copied(item)
        assert taken == item
        change(taken)
        assert item == before
    assert copied((1, [2])) == (1, [2])


@pytest.mark.parametrize("index", ["", None, "all", "keys", "some", "unsaid", "no such"])
def test_an_index_has_the_attributes_that_it_has_in_the_engine(index: str | None) -> None:
    own = unwrap(engine._apply_index_projection)
    cut = cutting(own)
    for item in items(1):
        assert cut(item, TABLE, index) == own(item, TABLE, index)


def test_an_index_that_is_made_anew_has_its_new_attributes() -> None:
    cut = cutting(unwrap(engine._apply_index_projection))
    item = {"k": {"S": "a"}, "s": {"S": "b"}, "more": {"S": "c"}}
    for kept, names in (("KEYS_ONLY", "ks"), ("ALL", ["k", "s", "more"])):
        index = {"IndexName": "i", "KeySchema": [], "Projection": {"ProjectionType": kept}}
        assert set(cut(item, {**TABLE, "GlobalSecondaryIndexes": [index]}, "i")) == set(names)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("k, nick", {}),
        ("#0, #1", {"#0": "tags", "#1": "more", "#2": "unused"}),
        ("#0.a, tags[1], tags[0].b", {"#0": "more"}),
        ("more, #0, k", {"#0": "a.b"}),
        ("k", None),
        ("", None),
    ],
)
def test_a_projection_gives_what_the_engine_gives(text: str, names: dict[str, str] | None) -> None:
    own = unwrap(engine._project_item)
    choose = choosing(engine)
    for item in items(2):
        assert choose(item, text, names) == own(item, text, names)


@pytest.mark.parametrize("text", ["k, k", "more, more.a", "more.a, more", "tags, status", "tags[0], tags"])
def test_a_faulty_projection_is_refused_in_the_same_words(text: str) -> None:
    refused = []
    choose = choosing(engine)
    for one in (unwrap(engine._project_item), choose, choose):
        with pytest.raises(ValueError, match="Invalid ProjectionExpression") as seen:
            one({}, text, {})
        refused.append(str(seen.value))
    assert len(set(refused)) == 1


def test_a_key_is_that_of_ministack() -> None:
    """Its values, and what is wrong with it, whether it is short or long, whole or not, of another type or empty."""
    with mock.patch.object(engine, "_resolve_table_key_values", unwrap(engine._resolve_table_key_values)):
        resolve, usual = keying(engine), engine._resolve_table_key_values
    definitions = [{"AttributeName": name, "AttributeType": "S"} for name in ("k", "s")]
    values: list[Any] = [
        {"S": "a"},
        {"S": ""},
        {"S": "é"},
        {"S": "x" * 2049},
        {"N": "1"},
        {"S": "a", "N": "1"},
        {},
        "a",
    ]
    keys: list[Any] = [{"k": one} for one in values] + [{"k": {"S": "a"}, "s": {"S": "b"}}, {"s": {"S": "b"}}, {}, None]
    for sort_key in ("s", None):
        table = {"pk_name": "k", "sk_name": sort_key, "AttributeDefinitions": definitions}
        for key, more in itertools.product(keys, (True, False)):
            assert resolve(table, key, more) == usual(table, key, more)
