"""The emulator's JSON: the values that MiniStack reads and writes without it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.local import quick_json

TEXTS = [
    b'{"Item": {"k": {"S": "\xd7\xa9 \\u05e9 \\ud83c\\udf89"}, "n": {"N": "-1.50E+2"}, "l": {"L": []}}}',
    b"[1, -0, 1.5, 1e22, true, null, 123456789012345678901234567890]",
    b'{"a": 1, "a": 2}',
    b'"\\ud800"',
    b" [ ] ",
]
VALUES: list[Any] = [
    {"Items": [{"k": {"S": 'a "quoted" \n line\u2028 \N{PARTY POPPER} \x00'}, "b": {"BOOL": True}}], "Count": 1},
    {"CapacityUnits": 0.5, "Table": {"CapacityUnits": 1e22}, "LastEvaluatedKey": None},
    [2**70, -1, "", [], {}],
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_has_the_value_that_the_standard_library_reads(text: bytes) -> None:
    assert quick_json.loads(text) == json.loads(text)
    assert quick_json.loads(text.decode()) == json.loads(text)


@pytest.mark.parametrize("text", [b"", b"{", b'{"a": }', b"[1,]"])
def test_a_faulty_text_is_refused_in_the_same_words(text: bytes) -> None:
    refused = []
    for loads in (json.loads, quick_json.loads):
        with pytest.raises(json.JSONDecodeError) as seen:
            loads(text)
        refused.append(str(seen.value))
    assert refused[0] == refused[1]


@pytest.mark.parametrize("value", VALUES)
def test_what_is_written_is_read_as_it_was(value: Any) -> None:
    assert json.loads(quick_json.dumps(value)) == value
    assert b"\n" not in quick_json.dumps(value)


def test_half_of_a_surrogate_pair_is_written_too() -> None:
    assert json.loads(quick_json.dumps(["\ud800"])) == ["\ud800"]


def test_an_answer_says_the_same_and_each_has_headers_of_its_own() -> None:
    def respond(data: Any, status: int = 200, content_type: str = "json") -> tuple[int, dict[str, str], bytes]:
        return status, {"Content-Type": content_type}, json.dumps(data, ensure_ascii=False).encode()

    answer = quick_json.answering(respond)
    for value in VALUES:
        status, headers, body = answer(value, 400)
        assert (status, headers, json.loads(body)) == (400, {"Content-Type": "json"}, value)
        headers["x"] = "y"
    assert answer({}, content_type="other")[1] == {"Content-Type": "other"}
    with pytest.raises(UnicodeEncodeError):
        answer({"a": "\ud800"})
