"""What the gateway charges for SMS parts, by how numbers begin: a list that people keep, as CSV or by the API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from .csv_cells import unguarded, write_rows
from .csv_rows import is_blank, rows_of
from .errors import FieldError, Invalid
from .faults import Fault

MOST_PRICES = 3000  # together about 60 KB, which a form and an item hold
_CURRENCY = re.compile(r"[A-Z]{3}")
_PREFIX = re.compile(r"[0-9]{1,15}")
_PRICE = re.compile(r"[0-9]{1,6}(?:[.,][0-9]{1,6})?")
_COLUMNS = ("prefix", "price", "currency")
Entry = tuple[str, str, str]  # as the columns have them


@dataclass(frozen=True, slots=True)
class PriceList:
    """The prices of one SMS part by the digits that numbers begin with; the longest beginning counts."""

    currency: str = ""  # as ISO 4217 has it
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    changed_at: datetime | None = None
    changed_by: str = ""

    def of(self, phone_number: str) -> Decimal | None:
        """The price of a part to a number in E.164 form; None if it has none."""
        digits = phone_number.removeprefix("+")
        found = (self.prices.get(digits[:length]) for length in range(len(digits), 0, -1))
        return next((price for price in found if price is not None), None)

    def charged(self, phone_number: str, parts: int) -> Decimal:
        """What a message costs at most: a number without a price counts as the dearest. Needs a list with prices."""
        price = self.of(phone_number)
        return (max(self.prices.values()) if price is None else price) * parts

    @property
    def entries(self) -> list[Entry]:
        """The prices in the order of their beginnings."""
        return [(prefix, str(price), self.currency) for prefix, price in sorted(self.prices.items())]

    @property
    def csv(self) -> str:
        """The list as CSV with a header, which `entries_of` reads again."""
        return write_rows([_COLUMNS, *self.entries])


def price_list(entries: Mapping[int, Entry], now: datetime, username: str) -> PriceList:
    """The list of these entries, by their rows. Raises Invalid with what is wrong, as `prices.3.price`."""
    errors: list[FieldError] = []
    prices: dict[str, Decimal] = {}
    common = ""  # the currency of the first row
    if len(entries) > MOST_PRICES:
        raise Invalid.of("prices", Fault.TOO_MANY_VALUES, most=MOST_PRICES)
    for row, entry in entries.items():
        prefix, price, currency = (unguarded(cell.strip()) for cell in entry)
        prefix, currency = prefix.removeprefix("+"), currency.upper()
        common = common or currency
        faults = {
            "prefix": Fault.GIVEN_TWICE if prefix in prices else _wrong(_PREFIX, prefix, Fault.PRICE_PREFIX),
            "price": _wrong(_PRICE, price, Fault.PRICE),
            "currency": _wrong(_CURRENCY, currency, Fault.CURRENCY)
            or (Fault.CURRENCIES if currency != common else None),
        }
        errors += (FieldError(f"prices.{row}.{name}", fault) for name, fault in faults.items() if fault)
        if not (faults["prefix"] or faults["price"]):
            prices[prefix] = Decimal(price.replace(",", "."))
    if errors:
        raise Invalid(*errors[:100])
    return PriceList(common, prices, now, username)


def _wrong(pattern: re.Pattern[str], cell: str, fault: Fault) -> Fault | None:
    return None if pattern.fullmatch(cell) else fault


def entries_of(text: str) -> dict[int, Entry]:
    """The entries of a CSV file whose header names `prefix`, `price` and `currency`, by their rows in the file.

    Raises Invalid if it has no such header, or cannot be read.
    """
    rows = [(number, cells) for number, cells in rows_of(text) if not isinstance(cells, list) or not is_blank(cells)]
    if not rows:
        return {}
    header = [cell.strip().lower() for cell in rows[0][1]] if isinstance(rows[0][1], list) else []
    if any(name not in header for name in _COLUMNS):
        raise Invalid.of("prices", Fault.PRICE_HEADER)
    places = [header.index(name) for name in _COLUMNS]
    found: dict[int, Entry] = {}
    for number, cells in rows[1:]:
        if not isinstance(cells, list):
            raise Invalid(cells)
        padded = [*cells, *[""] * len(header)]
        found[number] = (padded[places[0]], padded[places[1]], padded[places[2]])
    return found


@dataclass(frozen=True, slots=True)
class PriceEstimate:
    """What the messages to some people cost at the gateway, from a sample of them.

    `unpriced` of the `looked_at` people of the sample have numbers without a price; they count as nothing.
    """

    currency: str
    amount: Decimal
    looked_at: int
    unpriced: int


def estimate(prices: PriceList, sample: Iterable[tuple[str, int]], people: int) -> PriceEstimate | None:
    """The estimate for so many people, from numbers with the SMS parts of their texts; None without prices."""
    if not prices.prices:
        return None
    known = [(prices.of(number), parts) for number, parts in sample]
    total = sum((price * parts for price, parts in known if price is not None), Decimal(0))
    amount = total * people / len(known) if known else Decimal(0)
    unpriced = sum(price is None for price, _parts in known)
    return PriceEstimate(prices.currency, amount.quantize(Decimal("0.01")), len(known), unpriced)
