"""Clients: phone numbers, operators, tags, time zones, and the ids that follow from a number."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.client_ids import SHARDS, ClientIds, is_client_id, shard_of, unkeyed_id_for
from chalicelib.domain.clients import (
    KEY_SEPARATOR,
    ClientFields,
    check_operator,
    check_timezone,
    masked_phone,
    new_client,
    operator_of,
    zone,
)
from chalicelib.domain.errors import Invalid
from chalicelib.domain.tags import check_tag
from tests.factories import START, ClientFactory


def refusal(check: Any, *values: Any) -> list[str]:
    """The fields that are refused."""
    with pytest.raises(Invalid) as caught:
        check(*values)
    return [error.field for error in caught.value.errors]


@pytest.mark.parametrize(
    ("number", "operator"),
    [("+79161234567", "916"), ("+77011234567", "701"), ("+4915112345678", ""), ("+12125550100", "")],
)
def test_the_operator_follows_from_a_number_of_plus_seven(number: str, operator: str) -> None:
    """Other countries have other lengths of codes, so nothing is said of them."""
    assert operator_of(number) == operator


@pytest.mark.parametrize("code", ["", "91", "9161", "+91", "9 6", "٩١٦", "916\n", "abc"])
def test_an_operator_has_three_digits(code: str) -> None:
    """The error names the field that the caller has."""
    assert check_operator("007") == "007"
    assert refusal(check_operator, code, "clients.operator") == ["clients.operator"]


@pytest.mark.parametrize("tag", ["a" * 65, "a\x00b", "a\nb", "a\x1fb", "\ud800", "a\u2028b", "a\ue000"])
def test_a_tag_is_short_and_printable(tag: str) -> None:
    """A separator of index keys can be in none."""
    assert refusal(check_tag, tag, "clients.tag") == ["clients.tag"]


def test_a_tag_is_taken_without_the_spaces_around_it() -> None:
    """It may be as long as 64 characters, and empty."""
    assert check_tag("  постоянный клиент ") == "постоянный клиент"
    assert check_tag(f" {'ж' * 64} ") == "ж" * 64
    assert check_tag("  ") == ""


@pytest.mark.parametrize("name", ["UTC", "Europe/Moscow", "America/Argentina/Buenos_Aires", "Etc/GMT+3"])
def test_a_time_zone_of_the_database_is_taken(name: str) -> None:
    """And can be used."""
    assert check_timezone(name) == name
    assert START.astimezone(zone(name)).tzinfo is zone(name)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Cafe\u0301", "Café"),
        ("VIP\u00a0tag", "VIP tag"),
        ("日本語\u3000全角", "日本語 全角"),
        ("soft\u00adhyphen", "softhyphen"),
        ("\ufeff\u200evip\u200b", "vip"),
        ("a\u200bb", "ab"),
        ("e\u00ad\u0301", "é"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("👨\u200d👩\u200d👧 family", "👨\u200d👩\u200d👧 family"),
        ("\u00a0 \u200b", ""),
        ("VIP", "VIP"),
    ],
)
def test_a_tag_matches_what_people_type(typed: str, kept: str) -> None:
    """Expects one form for what looks the same, and the joiners that make words and emoji what they are."""
    assert check_tag(typed) == kept == check_tag(kept)


@given(st.text(max_size=70))
def test_a_tag_stays_as_it_is_kept(text: str) -> None:
    """Expects nothing more to change, whatever was typed, and no sign in it that indexes use."""
    try:
        kept = check_tag(text)
    except Invalid:
        return
    assert check_tag(kept) == kept
    assert KEY_SEPARATOR not in kept


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/../Europe/Moscow",
        "europe/moscow",
        "Moscow",
        "localtime",
        "Factory",
        "posixrules",
        "Europe",
        "UTC\x00",
        "Europe/Moscow ",
        "+03:00",
        "zone.tab",
        "A" * 100_000,
    ],
)
def test_an_invalid_time_zone_is_refused(name: str) -> None:
    """Neither a path, nor a name in another case, nor one that means something else on each machine."""
    assert refusal(check_timezone, name) == ["timezone"]


@pytest.mark.parametrize(
    ("number", "client_id", "shard"),
    [
        ("+79161234567", "w33pumxs3557fcg3", "06"),
        ("+4915112345678", "htj4burbqqsfm264", "07"),
        ("+12125550100", "xfqgrfkrpxjgpdur", "07"),
    ],
)
def test_the_id_from_before_there_were_keys_never_changes(number: str, client_id: str, shard: str) -> None:
    """An old installation's directory, its ledger and their partitions depend on it."""
    assert (unkeyed_id_for(number), shard_of(client_id)) == (client_id, shard)


@pytest.mark.parametrize(("generation", "client_id"), [(0, "pjvcfwt7eknurqdg"), (1, "eoamqscfeuaql2qc")])
def test_the_id_of_a_number_never_changes(generation: int, client_id: str) -> None:
    """With the same key, as every directory, ledger and partition depends on it."""
    assert ClientIds(bytes(range(32))).id_for("+79161234567", generation) == client_id


def test_nobody_without_the_key_can_tell_the_id_of_a_number() -> None:
    """Neither with the hash of earlier versions, nor with another installation's key; it depends on every byte."""
    number, key = "+79161234567", bytes(range(32))
    others = [key[:place] + bytes([key[place] ^ 1]) + key[place + 1 :] for place in range(32)]
    ids = [unkeyed_id_for(number), *(ClientIds(one).id_for(number) for one in [key, *others])]
    assert len(set(ids)) == len(ids)
    assert all(map(is_client_id, ids))


@pytest.mark.parametrize("length", [0, 15, 65])
def test_an_invalid_key_makes_no_ids(length: int) -> None:
    """An empty key least of all, whose ids would be those without a key."""
    with pytest.raises(ValueError, match="16 to 64 bytes"):
        ClientIds(b"k" * length)


def test_a_key_appears_in_no_text() -> None:
    """So that none is in a log."""
    assert "secret" not in f"{ClientIds(b'a secret, of course')} {ClientIds(b'a secret, of course')!r}"


def test_clients_are_spread_evenly_over_sixteen_shards() -> None:
    """No partition gets half as much again as its part."""
    clients = [ClientFactory(phone_number=f"+7916{number:07d}") for number in range(3200)]
    shards = Counter(client.shard for client in clients)
    assert sorted(shards) == list(SHARDS)
    assert max(shards.values()) < 300
    assert len({client.client_id for client in clients}) == 3200


@pytest.mark.parametrize("text", ["", "a" * 15, "a" * 17, "A" * 16, "0" * 16, "1" * 16, "é" * 16, "a" * 15 + "\n"])
def test_an_invalid_id_is_recognised(text: str) -> None:
    """16 characters of base 32 are valid."""
    assert is_client_id(ClientFactory().client_id)
    assert not is_client_id(text)


def test_a_new_client_has_checked_fields() -> None:
    """Its operator comes from the number unless it is given: numbers are ported."""
    fields: dict[str, Any] = {"tags": (" vip ", "vip", ""), "timezone": "Europe/Moscow", "opted_out": True}
    made = new_client(ClientFields("8 916 123-45-67", **fields), START)
    expected = ClientFactory(
        phone_number="+79161234567", operator="916", tag="vip", timezone="Europe/Moscow", opted_out=True
    )
    assert made == replace(expected, client_id="")
    assert new_client(ClientFields("+79161234567", "", **fields), START).operator == "916"
    assert new_client(ClientFields("+79161234567", "903", **fields), START).operator == "903"


def test_every_wrong_field_of_a_new_client_is_named() -> None:
    """In one answer, not one after the other."""

    def make() -> None:
        new_client(ClientFields("", operator="9", tags=("\n\x00",), timezone=""), START)

    assert refusal(make) == ["phone_number", "operator", "tags", "timezone"]


@pytest.mark.parametrize(("number", "masked"), [("+79161234567", "+7********67"), ("+1234567", "+1****67")])
def test_a_masked_number_keeps_its_length(number: str, masked: str) -> None:
    """Its first digit and its last two are seen, also of the shortest one."""
    assert masked_phone(number) == masked
