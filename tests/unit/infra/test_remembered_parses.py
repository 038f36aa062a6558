"""The emulator's parser that remembers: nobody can tell it from MiniStack's own."""

from __future__ import annotations

from inspect import unwrap
from typing import Any

import pytest
from ministack.services import dynamodb
from ministack.services._dynamodb_keywords import PartiqlError, parse_statement

from infra.local import ministack_patches
from infra.local.remembered_parses import judging, remembering, tokenizing

INSERT = "INSERT INTO \"t\" VALUE {'key': ?, 'attempts': ?, 'kept': 'text', 'count': 7}"
UPDATE = (
    'UPDATE "t" SET "status" = ? SET "attempts" = ? REMOVE "lease" WHERE ledger = ? AND client = ? AND revision = ?'
)


def _text(value: str) -> dict[str, Any]:
    return {"S": value}


STATEMENTS: list[tuple[str, list[list[dict[str, Any]]]]] = [
    (INSERT, [[_text("a"), {"L": [_text("x")]}], [_text("b"), {"L": []}], [{"N": "1"}, {"BOOL": True}]]),
    (
        UPDATE,
        [
            [_text("sent"), {"L": [{"M": {"at": {"N": "1"}}}]}, _text("m#1"), _text("c"), {"N": "2"}],
            [_text("sent"), {"L": []}, _text("m#1"), _text("c"), {"N": "2"}],
        ],
    ),
    ('SELECT * FROM "t" WHERE a = ? AND b BETWEEN ? AND 9', [[_text("x"), {"N": "1"}], [_text("y"), {"N": "3"}]]),
    ('SELECT * FROM "t" WHERE a IN (?, ?, 1)', [[_text("x"), _text("x")], [_text("y"), {"N": "3"}]]),
    ("UPDATE t SET a = set_add(a, <<?, 'x'>>) WHERE k = ?", [[_text("y"), _text("k")], [_text("z"), _text("k")]]),
    ("DELETE FROM t WHERE k = ? AND attribute_exists(a)", [[_text("k")], [_text("l")]]),
]


@pytest.mark.parametrize(("text", "given"), STATEMENTS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_time_the_answer_is_that_of_the_parser(text: str, given: list[list[dict[str, Any]]]) -> None:
    parse = remembering(parse_statement)

    for parameters in given * 2:
        assert parse(text, parameters) == parse_statement(text, parameters)


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        ("UPDATE t SET a = ? WHERE k = ?", [_text("only one")]),
        ("UPDATE t SET WHERE k = ?", [_text("k")]),
        ("SELECT * FROM t WHERE a < ?", [{"BOOL": True}]),
        ("UPDATE t SET a = set_add(a, <<?, ?>>) WHERE k = ?", [_text("x"), _text("x"), _text("k")]),
        ("UPDATE t SET a = ? WHERE no_such(a)", [_text("x")]),
    ],
)
def test_what_is_refused_is_refused_in_the_same_words_every_time(text: str, parameters: list[dict[str, Any]]) -> None:
    parse = remembering(parse_statement)
    with pytest.raises(PartiqlError) as expected:
        parse_statement(text, parameters)

    for _ in range(2):
        with pytest.raises(PartiqlError) as seen:
            parse(text, parameters)
        assert str(seen.value) == str(expected.value)


def test_a_statement_with_other_values_is_parsed_no_more() -> None:
    parsed: list[str] = []

    def counted(text: str, parameters: Any) -> dict[str, Any]:
        parsed.append(text)
        result: dict[str, Any] = parse_statement(text, parameters)
        return result

    parse = remembering(counted)
    for value in ("a", "b", "c"):
        parse(INSERT, [_text(value), {"L": []}])

    assert len(parsed) == 1


def test_no_call_sees_the_values_of_another() -> None:
    parse = remembering(parse_statement)
    first = parse(INSERT, [_text("a"), {"L": []}])
    parse(INSERT, [_text("b"), {"L": []}])

    assert first["item"]["key"] == _text("a")


@pytest.mark.parametrize("text", ["#p = :p AND begins_with(#s, :s)", "a[1].b <> :x", "SET n = n + :n", "(a"])
def test_an_expression_has_the_same_tokens_every_time(text: str) -> None:
    """Also after somebody has taken what was answered apart."""
    tokens = tokenizing(dynamodb._tokenize)
    for _ in range(3):
        found = tokens(text)
        assert found == dynamodb._tokenize(text)
        found.clear()


@pytest.mark.parametrize("name", ministack_patches.JUDGED)
def test_a_number_is_judged_the_same_every_time(name: str) -> None:
    """Also what is no text, and could not be remembered."""
    judge = unwrap(getattr(dynamodb, name))
    known = judging(judge)
    for text in ("1", "-0", "1E+999", "0.10", "9" * 39, "x", "", 1, True, 1.0, None):
        for _ in range(2):
            assert known(text) == judge(text), text
