"""The price list: the longest beginning of a number counts, and a wrong row is named."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.errors import Invalid
from chalicelib.domain.faults import Fault
from chalicelib.domain.prices import MOST_PRICES, PriceList, entries_of, estimate, price_list

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LIST = price_list(
    {1: ("+7", "2", "EUR", ""), 2: ("7916", "1.5", "eur", ""), 3: ("49", "0,075", "EUR", "")}, NOW, "admin"
)


@pytest.mark.parametrize(
    ("number", "price"),
    [("+79161234567", "1.5"), ("+79251234567", "2"), ("+4915112345678", "0.075"), ("+14155550100", None)],
)
def test_the_longest_beginning_counts(number: str, price: str | None) -> None:
    assert LIST.of(number) == (None if price is None else Decimal(price))


@given(st.dictionaries(st.from_regex("[1-9][0-9]{0,5}", fullmatch=True), st.decimals(0, 999, places=3), max_size=30))
def test_a_list_as_csv_says_the_same(prices: dict[str, Decimal]) -> None:
    made = price_list(
        {place: (prefix, str(prices[prefix]), "EUR", "") for place, prefix in enumerate(prices)}, NOW, "admin"
    )
    assert price_list(entries_of(made.csv), NOW, "admin") == made


def test_columns_come_in_any_order_and_separated_as_spreadsheets_do() -> None:
    entries = entries_of("\ufeffCurrency;note;PRICE;prefix\nEUR;x;0,5;7\n;;;\nEUR;;1;49\n".lstrip("\ufeff"))
    assert entries == {2: ("7", "0,5", "EUR", ""), 4: ("49", "1", "EUR", "")}


@pytest.mark.parametrize(
    ("entry", "field", "fault"),
    [
        (("x", "1", "EUR"), "prefix", Fault.PRICE_PREFIX),
        (("7", "1", "EUR"), "prefix", Fault.GIVEN_TWICE),
        (("8", "-1", "EUR"), "price", Fault.PRICE),
        (("8", "1e3", "EUR"), "price", Fault.PRICE),
        (("8", "1", "euro"), "currency", Fault.CURRENCY),
        (("8", "1", "USD"), "currency", Fault.CURRENCIES),
    ],
)
def test_a_wrong_row_is_named(entry: tuple[str, str, str], field: str, fault: Fault) -> None:
    with pytest.raises(Invalid) as raised:
        price_list({2: ("7", "1", "EUR", ""), 3: (*entry, "")}, NOW, "admin")
    assert [(one.field, one.fault) for one in raised.value.errors] == [(f"prices.3.{field}", fault)]


@pytest.mark.parametrize("text", ["prefix,price\n7,1\n", "7,1,EUR\n", "phone_number\n"])
def test_a_file_without_the_columns_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as raised:
        entries_of(text)
    assert raised.value.errors[0].fault is Fault.PRICE_HEADER


def test_the_number_of_prices_is_limited() -> None:
    rows = {place: (str(place), "1", "EUR", "") for place in range(MOST_PRICES + 1)}
    price_list({place: one for place, one in rows.items() if place}, NOW, "admin")
    with pytest.raises(Invalid):
        price_list(rows, NOW, "admin")


def test_a_mailing_is_estimated_from_a_sample() -> None:
    """Expects parts times price, and numbers without a price to count as nothing and be counted."""
    sample = [("+79161234567", 2), ("+79251234567", 1), ("+14155550100", 3), ("+4915112345678", 0)]
    found = estimate(LIST, sample, 4000)
    assert found
    assert (found.amount, found.currency, found.looked_at, found.unpriced) == (Decimal("5000.00"), "EUR", 4, 1)
    assert estimate(PriceList(), sample, 4000) is None


SEVERAL = price_list(
    {
        1: ("7", "2", "EUR", ""),
        2: ("7916", "1.5", "EUR", ""),
        3: ("7", "3", "EUR", "twilio"),
        4: ("44", "9", "EUR", "twilio"),
        5: ("7", "4", "EUR", "default"),
    },
    NOW,
    "admin",
    ("default", "twilio", "aws"),
)


@pytest.mark.parametrize(
    ("number", "gateway", "price"),
    [
        ("+79161234567", "aws", "1.5"),
        ("+79161234567", "twilio", "3"),  # its own before one of all, which is longer
        ("+79161234567", "", "4"),  # the gateway that is called default
        ("+447700900001", "twilio", "9"),
        ("+447700900001", "aws", None),
    ],
)
def test_a_gateways_own_price_counts(number: str, gateway: str, price: str | None) -> None:
    assert SEVERAL.of(number, gateway) == (None if price is None else Decimal(price))


def test_a_number_without_a_price_is_charged_as_the_dearest_of_its_gateway() -> None:
    assert SEVERAL.charged("+14155550100", 2, "twilio") == 18
    assert SEVERAL.charged("+14155550100", 2, "aws") == 4
    only_twilio = price_list({1: ("44", "9", "EUR", "twilio")}, NOW, "admin", ("twilio",))
    assert bool(only_twilio)
    assert only_twilio.charged("+14155550100", 1, "aws") == 9


def test_prices_of_gateways_go_out_and_in_as_csv() -> None:
    assert SEVERAL.csv.splitlines()[0] == "prefix,price,currency,gateway"
    assert price_list(entries_of(SEVERAL.csv), NOW, "admin", ("default", "twilio")) == SEVERAL
    with pytest.raises(Invalid) as raised:
        price_list(entries_of(SEVERAL.csv), NOW, "admin", ("default",))
    assert {one.fault for one in raised.value.errors} == {Fault.NOT_A_CHOICE}
    assert raised.value.errors[0].field.endswith(".gateway")


def test_an_estimate_is_the_average_of_the_gateways_that_share_the_messages() -> None:
    shares = {"+7": (("twilio", 3), ("aws", 1)), "+4": (("twilio", 1), ("aws", 1))}
    found = estimate(SEVERAL, [("+79251234567", 1), ("+447700900001", 1)], 200, lambda number: shares[number[:2]])
    assert found
    assert (found.amount, found.unpriced) == (Decimal("275.00"), 1)  # (3 * 3 + 2) / 4, and one without a price
