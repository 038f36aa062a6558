"""Bad input: every kind is refused with the field and the reason, and nothing is left half-done."""

# ruff: noqa: RUF001 - characters that only look like digits are among the bad input

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.factories import ClientBodyFactory, MailingBodyFactory
from tests.support.api import Api, Reply

LATER = timedelta(hours=1)


def _client(api: Api, **fields: Any) -> Reply:
    return api.post("/api/clients", ClientBodyFactory(**fields))


def _mailing(api: Api, **fields: Any) -> Reply:
    return api.post("/api/mailing", MailingBodyFactory(**{"starts_in": LATER, **fields}))


def _is_refused(api: Api, reply: Reply, *fields: str) -> None:
    """Fails unless the answer is 422 with these fields, as a problem, and nothing was created."""
    assert reply.status == 422, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert list(reply.errors) == list(fields)
    assert all(reply.errors.values())
    assert api.get("/api/clients").json["total"] == api.get("/api/mailing").json["total"] == 0


# -- phone numbers, operators, tags, time zones


@pytest.mark.parametrize(
    "number",
    [
        "",
        " ",
        "+",
        "12345",
        "+123456",
        "+7916123456789012",
        "+0916123456",
        "7916123456a",  # pragma: allowlist secret
        "++79161234567",
        "+7916123456７ or so",
        "tel:",
        "+79161234567,+79161234568",
        "+7916\x00234567",
        "0",
        "１２３４５６７８９０",
    ],
)
def test_an_invalid_phone_number(api: Api, number: str) -> None:
    _is_refused(api, _client(api, phone_number=number), "phone_number")


@pytest.mark.parametrize("number", [79161234567, 7.9e10, None, True, ["+79161234567"], {"number": "+79161234567"}])
def test_a_phone_number_that_is_not_text(api: Api, number: Any) -> None:
    _is_refused(api, _client(api, phone_number=number), "phone_number")


@pytest.mark.parametrize(
    "number",
    [
        "79161234567",
        "89161234567",
        "+7 (916) 123-45-67",
        "00 7 916 123 45 67",
        " +79161234567 ",
        "+7‑916‑1234567",
        "tel:+79161234567",
        "+7916123456７",
    ],
)
def test_a_phone_number_written_as_people_do(api: Api, number: str) -> None:
    """Expects the one form in which it is stored, with all eleven digits."""
    assert _client(api, phone_number=number).json["phone_number"] == "+79161234567"


def test_one_phone_number_written_twice(api: Api) -> None:
    """Expects 409 for the second, however it is written."""
    assert _client(api, phone_number="+79161234567").status == 201
    for number in ("+79161234567", "8 916 123-45-67", "0079161234567"):
        assert _client(api, phone_number=number).status == 409


@pytest.mark.parametrize("operator", ["9", "9166", "abc", "９１６", " 916", 1000, -1, 9.16, True, [916], "", 10**30])
def test_an_invalid_operator(api: Api, operator: Any) -> None:
    _is_refused(api, _client(api, operator=operator), "operator")


@pytest.mark.parametrize(("operator", "kept"), [(916, "916"), ("916", "916"), (7, "007"), (None, "916")])
def test_an_operator_as_number_or_text(api: Api, operator: Any, kept: str) -> None:
    """Expects three digits as text."""
    assert _client(api, operator=operator).json["operator"] == kept


@pytest.mark.parametrize(
    "name",
    ["Mars/Olympus", "europe/moscow", "UTC+3", "+03:00", "", "../../etc/passwd", "localtime", "Factory", "posixrules"],
)
def test_a_time_zone_that_does_not_exist(api: Api, name: str) -> None:
    _is_refused(api, _client(api, timezone=name), "timezone")


@pytest.mark.parametrize("tag", ["x" * 65, "a\x00b", "a\nb", "a\x1fb", "\x7f", 5, None, ["vip"]])
def test_an_invalid_tag(api: Api, tag: Any) -> None:
    _is_refused(api, _client(api, tag=tag), "tag")


@pytest.mark.parametrize("tag", ["x" * 64, "привет", "🎄", "a b", "a/b?c&d=é", "%00", "<b>"])
def test_a_tag_of_any_visible_characters(api: Api, tag: str) -> None:
    """Expects it to be stored, and to find its clients."""
    assert _client(api, tag=tag).json["tag"] == tag
    assert api.get("/api/clients", query={"tag": tag}).json["total"] == 1


@pytest.mark.parametrize("flag", ["true", "no", 1, 0, None, []])
def test_an_invalid_flag(api: Api, flag: Any) -> None:
    _is_refused(api, _client(api, opted_out=flag), "opted_out")


def test_all_errors_are_reported_at_once(api: Api) -> None:
    reply = _client(api, phone_number="1", operator="x", tag="\x00", timezone="x", opted_out=1, color="red")
    _is_refused(api, reply, "phone_number", "operator", "tag", "timezone", "opted_out", "color")


# -- windows


def test_an_end_before_the_start(api: Api) -> None:
    _is_refused(api, _mailing(api, lasts=timedelta(seconds=-1)), "end_time")
    _is_refused(api, _mailing(api, lasts=timedelta(0)), "end_time")


def test_a_window_in_the_past(api: Api) -> None:
    _is_refused(api, _mailing(api, starts_in=timedelta(days=-2)), "end_time")


def test_a_window_that_has_begun_is_open(api: Api) -> None:
    """Expects the mailing to be accepted, and to start at once."""
    _client(api)
    assert _mailing(api, starts_in=timedelta(minutes=-30)).status == 201


@pytest.mark.parametrize("name", ["start_time", "end_time"])
@pytest.mark.parametrize(
    "moment",
    [
        "2026-03-02T12:00:00",
        "2026-03-02",
        "12:00",
        "tomorrow",
        "",
        "2026-02-30T12:00:00Z",
        "2026-03-02T25:00:00Z",
        "2026-03-02T12:60:00Z",
        "2026-03-02T12:00:61Z",
        "2026-03-02T12:00:00+25:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "99999-01-01T00:00:00Z",
        "+2026-03-02T12:00:00Z",
        "２０２６-03-02T12:00:00Z",
        "2026-03-02T12:00:00Z\x00",
        "2026-W10-1T12:00:00Z",
        1772452800,
        1772452800.5,
        None,
        True,
        [],
    ],
)
def test_an_invalid_time(api: Api, name: str, moment: Any) -> None:
    """Times without an offset, dates that do not exist, years that no mailing can mean, numbers."""
    _is_refused(api, _mailing(api, **{name: moment}), name)


@pytest.mark.parametrize(
    ("moment", "kept"),
    [
        ("2026-03-29T02:30:00+01:00", "2026-03-29T01:30:00.000Z"),  # a local time that Berlin's clocks leave out
        ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00.000Z"),  # and one that they show twice
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00.000Z"),
        ("2026-06-30T23:59:59.999999Z", "2026-06-30T23:59:59.999Z"),
        ("2026-06-30t12:00z", "2026-06-30T12:00:00.000Z"),
        ("2026-06-30 12:00:00,5+0530", "2026-06-30T06:30:00.500Z"),
        ("2026-06-30T12:00:00-00:00", "2026-06-30T12:00:00.000Z"),
    ],
)
def test_a_time_in_any_form_of_iso_8601_with_an_offset(api: Api, moment: str, kept: str) -> None:
    """Expects the same moment, in UTC, in whole milliseconds; with the offset, hours that come twice are clear."""
    assert _mailing(api, start_time=moment, end_time="2027-01-01T00:00:00Z").json["start_time"] == kept


@pytest.mark.parametrize(
    ("window", "field"),
    [
        ({"from": "25:00", "until": "21:00"}, "local_window.from"),
        ({"from": "9:00", "until": "21:00"}, "local_window.from"),
        ({"from": "09:00", "until": "24:00"}, "local_window.until"),
        ({"from": "09:00"}, "local_window.until"),
        ({"from": "09:00", "until": "21:00", "policy": "wait"}, "local_window.policy"),
        ({"from": "09:00", "until": "21:00", "zone": "UTC"}, "local_window.zone"),
        ({"start": "09:00", "until": "21:00"}, "local_window.from"),
        ("09:00-21:00", "local_window"),
        ([], "local_window"),
    ],
)
def test_an_invalid_local_window(api: Api, window: Any, field: str) -> None:
    reply = _mailing(api, local_window=window)
    assert field in reply.errors
    _is_refused(api, reply, *reply.errors)


def test_a_local_window_of_no_length(api: Api) -> None:
    _is_refused(api, _mailing(api, local_window={"from": "09:00", "until": "09:00"}), "local_window.until")


# -- texts


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t", "x" * 10_000, "x" * 1_601, "\x00", "a\x07b", "a\x7fb", 5, None, ["x"]]
)
def test_an_invalid_text(api: Api, text: Any) -> None:
    _is_refused(api, _mailing(api, text=text), "text")


@pytest.mark.parametrize(
    "text", ["x", "x" * 1_600, "🎄" * 800, "Привет,\r\n\tмир", "👩‍👩‍👧 e\u0301", "\u202eevil", "<b>&amp;"]
)
def test_a_text_in_any_script(api: Api, text: str) -> None:
    """Expects it to be stored character by character."""
    assert _mailing(api, text=text).json["text"] == text


def test_half_of_a_surrogate_pair(api: Api) -> None:
    body = json.dumps(MailingBodyFactory(starts_in=LATER)).replace('"Hello', '"\\ud83d Hello')
    _is_refused(api, api.post("/api/mailing", raw=body.encode()), "text")


# -- segments and numbers


@pytest.mark.parametrize(
    ("clients", "field"),
    [
        ({"tags": "vip"}, "clients.tags"),
        ({"tag": []}, "clients.tag"),
        ({"tag": ["vip", 5]}, "clients.tag.1"),
        ({"tag": ["x"] * 51}, "clients.tag"),
        ({"tag": {"a": 1}}, "clients.tag"),
        ({"operator": "9"}, "clients.operator"),
        ({"operator": ["916", "9"]}, "clients.operator.1"),
        ({"operator": [["916"]]}, "clients.operator.0"),
        ([], "clients"),
        ("vip", "clients"),
        (None, "clients"),
    ],
)
def test_an_invalid_segment(api: Api, clients: Any, field: str) -> None:
    _is_refused(api, _mailing(api, clients=clients), field)


@pytest.mark.parametrize("rate", ["50", 0, -1, 10_001, 1.5, 10**400, True, [1]])
def test_an_invalid_rate(api: Api, rate: Any) -> None:
    """Numbers as text, fractions, and integers of 400 digits."""
    reply = _mailing(api, rate_limit=rate)
    if rate == 10**400:
        assert reply.status in (400, 422)
    else:
        _is_refused(api, reply, "rate_limit")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 5000, "-" + "9" * 500, "1.5e-400"])
def test_a_number_that_json_or_doubles_do_not_have(api: Api, number: str) -> None:
    """Expects a 400 or a 422, and no overflow."""
    body = json.dumps(MailingBodyFactory(starts_in=LATER))[:-1] + f', "rate_limit": {number}}}'
    reply = api.post("/api/mailing", raw=body.encode())
    assert reply.status in (400, 422), reply.text
    assert api.get("/api/mailing").json["total"] == 0


@pytest.mark.parametrize(
    ("name", "value"), [("on_unknown", "give up"), ("on_unknown", 1), ("late", "never"), ("late", None)]
)
def test_an_invalid_choice(api: Api, name: str, value: Any) -> None:
    _is_refused(api, _mailing(api, **{name: value}), name)


@pytest.mark.parametrize(
    "field", ["id", "status", "counts", "created_by", "colour", "__class__", "", "a" * 5000, "\x00"]
)
def test_an_unknown_field(api: Api, field: str) -> None:
    """Expects it to be named, read-only fields included, and never to be ignored."""
    reply = api.post("/api/mailing", {**MailingBodyFactory(starts_in=LATER), field: "x"})
    assert reply.status == 422
    assert list(reply.errors.values()) == ["is not a known field"]
