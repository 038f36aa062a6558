"""Filters over clients: they match as a plain reading of them says, and a wrong node is named by its path."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.attributes import attributes_of
from chalicelib.domain.clients import Client
from chalicelib.domain.errors import Invalid
from chalicelib.domain.faults import Fault
from chalicelib.domain.filter_checks import MOST_VALUES, checked_filter
from chalicelib.domain.filters import Facts, Filter
from chalicelib.domain.statuses import MessageStatus

NOW = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)  # the third of March in Moscow
MAILING = "01JNB1Y7E8X8X3T5QZK9M2C4VD"
OLDER = "01JNB1Y7E8X8X3T5QZK9M2C4VE"
CLIENT = Client(phone_number="+79161234567", created_at=NOW, updated_at=NOW, client_id="a" * 16)

TAGS, OPERATORS, LANGUAGES = ["vip", "", "gold"], ["916", "903"], ["ru", "pt", "pt-BR"]
ZONES = ["UTC", "Europe/Moscow"]
VALUES: list[Any] = [True, False, 1, 0, 30, 2.5, "a", "ab", "2026-03-01", "2026-03-02", "2026-03-03", "2026-02-30"]
BOUNDS: list[Any] = [0, 1, 30, 2.5, "2026-03-02", {"today": 0}, {"today": -1}]


def one_or_more(values: list[str]) -> st.SearchStrategy[Any]:
    return st.sampled_from(values) | st.lists(st.sampled_from(values), min_size=1, max_size=3)


def attributes(how: str, operand: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"attribute": st.sampled_from(["age", "day"]), how: operand})


ANY_VALUE, BOUND = st.sampled_from([*VALUES, {"today": 0}]), st.sampled_from(BOUNDS)
LEAVES = st.one_of(
    st.fixed_dictionaries({"tag": one_or_more(TAGS)}),
    st.fixed_dictionaries({"operator": one_or_more(OPERATORS)}),
    st.fixed_dictionaries({"language": one_or_more(LANGUAGES)}),
    st.fixed_dictionaries({"timezone": one_or_more(ZONES)}),
    attributes("equal", ANY_VALUE),
    attributes("one_of", st.lists(ANY_VALUE, min_size=1, max_size=3)),
    attributes("less", BOUND),
    attributes("greater", BOUND),
    attributes("between", st.lists(BOUND, min_size=2, max_size=2)),
    attributes("exists", st.booleans()),
    attributes("begins_with", st.sampled_from(["a", "2026"])),
    st.fixed_dictionaries({"mailing": st.sampled_from([MAILING, OLDER])}),
    st.fixed_dictionaries(
        {
            "mailing": st.sampled_from([MAILING, OLDER]),
            "status": st.lists(st.sampled_from(list(MessageStatus)), min_size=1, max_size=2),
        }
    ),
)


def inner(nodes: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(nodes, min_size=1, max_size=3)
    return st.one_of(*(st.fixed_dictionaries({kind: several}) for kind in ("all", "any")), not_of(nodes))


def not_of(nodes: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"not": nodes})


TREES = LEAVES | inner(LEAVES | inner(LEAVES | not_of(LEAVES)))
CLIENTS = st.builds(
    lambda tags, operator, language, zone, age, day: replace(
        CLIENT,
        tags=tags,
        operator=operator,
        language=language,
        timezone=zone,
        attributes=attributes_of({name: one for name, one in (("age", age), ("day", day)) if one is not None}),
    ),
    st.lists(st.sampled_from([one for one in TAGS if one]), unique=True).map(tuple),
    st.sampled_from(OPERATORS),
    st.sampled_from(["", "ru", "pt", "pt-BR"]),
    st.sampled_from(ZONES),
    st.sampled_from([None, *VALUES]),
    st.sampled_from([None, *VALUES]),
)
STATUSES = st.dictionaries(
    st.tuples(st.sampled_from([MAILING, OLDER]), st.just(CLIENT.client_id)), st.sampled_from(list(MessageStatus))
)


def naive(node: dict[str, Any], client: Client, facts: Facts) -> bool:
    """What a tree says, read word by word."""
    if "all" in node:
        return False not in [naive(one, client, facts) for one in node["all"]]
    if "any" in node:
        return True in [naive(one, client, facts) for one in node["any"]]
    if "not" in node:
        return not naive(node["not"], client, facts)
    if "mailing" in node:
        status = facts.statuses.get((node["mailing"], client.client_id))
        return status is not None and ("status" not in node or status in node["status"])
    if "attribute" in node:
        return naive_attribute(node, client)
    ((kind, wanted),) = node.items()
    wanted = wanted if isinstance(wanted, list) else [wanted]
    if kind == "tag":
        return not set(client.tags or [""]).isdisjoint(wanted)
    mine = {"operator": client.operator, "language": client.language, "timezone": client.timezone}
    return mine[kind] in wanted or (kind == "language" and client.language == "pt-BR" and "pt" in wanted)


def naive_attribute(node: dict[str, Any], client: Client) -> bool:
    ((how, operand),) = ((name, one) for name, one in node.items() if name != "attribute")
    value = client.attributes.get(node["attribute"])
    if how == "exists":
        return operand is (value is not None)
    today = date(2026, 3, 3) if client.timezone == "Europe/Moscow" else date(2026, 3, 2)

    def dated(one: Any) -> Any:
        return str(today + timedelta(days=one["today"])) if isinstance(one, dict) else one

    others = [dated(one) for one in (operand if isinstance(operand, list) else [operand])]
    if how == "begins_with":
        return isinstance(value, str) and value[: len(operand)] == operand
    if how in ("equal", "one_of"):
        return any(one == value and (type(one) is bool) == (type(value) is bool) for one in others)
    return (
        all(comparable(value, one) for one in others)
        and {
            "less": lambda: value < others[0],
            "greater": lambda: value > others[0],
            "between": lambda: others[0] <= value <= others[1],
        }[how]()
    )


def comparable(value: Any, bound: Any) -> bool:
    if isinstance(value, bool) or (isinstance(value, str) and (len(value) != 10 or value == "2026-02-30")):
        return False
    return value is not None and isinstance(value, str) == isinstance(bound, str)


@given(TREES, CLIENTS, STATUSES)
def test_a_filter_matches_as_a_plain_reading_of_it_says(
    tree: dict[str, Any], client: Client, statuses: dict[tuple[str, str], MessageStatus]
) -> None:
    facts = Facts(NOW, statuses)
    made = checked_filter(tree)
    assert made.matches(client, facts) == naive(tree, client, facts)
    assert Filter(made.text).matches(client, facts) == naive(tree, client, facts)


@given(TREES)
def test_a_filter_that_is_checked_again_stays_as_it_is(tree: dict[str, Any]) -> None:
    made = checked_filter(tree)
    assert checked_filter(made.node) == made
    assert made.mailings == {one for one in (MAILING, OLDER) if one in made.text}


DEEP = {"not": {"not": {"not": {"not": {"not": {"tag": "vip"}}}}}}


@pytest.mark.parametrize(
    ("tree", "path", "fault"),
    [
        ({}, "", Fault.FILTER_KIND),
        ({"tag": "a", "operator": "916"}, "", Fault.FILTER_KIND),
        ({"all": []}, ".all", Fault.TOO_FEW_VALUES),
        ({"all": [{"tag": "a"}, {"any": [{"operator": "9"}]}]}, ".all.1.any.0.operator", Fault.OPERATOR),
        ({"tag": ["a", "x" * 65]}, ".tag.1", Fault.TOO_LONG),
        ({"timezone": "Moscow"}, ".timezone", Fault.TIME_ZONE),
        ({"tag": "a", "equal": 1}, ".equal", Fault.FILTER_NOT_HERE),
        ({"attribute": "age"}, "", Fault.FILTER_COMPARISON),
        ({"attribute": "age", "less": 1, "greater": 2}, "", Fault.FILTER_COMPARISON),
        ({"attribute": "Age", "equal": 1}, ".attribute", Fault.ATTRIBUTE_NAME),
        ({"attribute": "age", "less": "ten"}, ".less", Fault.FILTER_ORDER),
        ({"attribute": "age", "less": True}, ".less", Fault.FILTER_ORDER),
        ({"attribute": "age", "between": [1, "a"]}, ".between.1", Fault.FILTER_ORDER),
        ({"attribute": "age", "between": [1]}, ".between", Fault.FILTER_BETWEEN),
        ({"attribute": "age", "equal": {"today": 1.5}}, ".equal", Fault.FILTER_TODAY),
        ({"attribute": "age", "equal": {"today": 10**9}}, ".equal", Fault.FILTER_TODAY),
        ({"attribute": "age", "equal": ["a"]}, ".equal", Fault.ATTRIBUTE_VALUE),
        ({"attribute": "age", "exists": 1}, ".exists", Fault.NOT_A_FLAG),
        ({"attribute": "age", "begins_with": 1}, ".begins_with", Fault.NOT_A_STRING),
        ({"mailing": "x"}, ".mailing", Fault.NO_ID_OF_A_MAILING),
        ({"mailing": MAILING, "status": "got"}, ".status", Fault.NOT_A_CHOICE),
        (DEEP, ".not.not.not.not.not", Fault.FILTER_TOO_DEEP),
        ({"any": [{"tag": "a"}] * (MOST_VALUES + 1)}, "", Fault.TOO_MANY_VALUES),
        ({"tag": [f"{place:060d}" for place in range(50)] + ["я" * 64] * 20}, "", Fault.TOO_MANY_VALUES),
        ({"attribute": "a", "one_of": [letter * 1000 for letter in "яюэ"]}, "", Fault.ATTRIBUTES_TOO_LARGE),
    ],
)
def test_a_wrong_node_is_named_by_its_path(tree: dict[str, Any], path: str, fault: Fault) -> None:
    with pytest.raises(Invalid) as raised:
        checked_filter(tree)
    found = [(error.field, error.fault) for error in raised.value.errors]
    assert ("clients.filter" + path, fault) in found


def test_the_deepest_and_the_longest_filters_are_taken() -> None:
    checked_filter(DEEP["not"])
    checked_filter({"any": [{"tag": "a"}] * MOST_VALUES})
