"""Prices: what gateways charge for an SMS part, by the beginning of the number; people keep the list by CSV or API."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from .csv_cells import unguarded, write_rows
from .csv_rows import is_blank, rows_of
from .errors import FieldError, Invalid
from .faults import Fault
from .gateway_routes import ONLY, shown

MOST_PRICES = 3000  # about 60 KB together, which fits into a form and an item
_CURRENCY = re.compile(r"[A-Z]{3}")
_PREFIX = re.compile(r"[0-9]{1,15}")
_PRICE = re.compile(r"[0-9]{1,6}(?:[.,][0-9]{1,6})?")
_COLUMNS = ("prefix", "price", "currency")
_GATEWAY = "gateway"  # an optional column
Entry = tuple[str, str, str, str]  # in the order of the columns; a price without a gateway is for all
Shares = Sequence[tuple[str, int]]  # gateways (as in rows of the ledger) and their weights


@dataclass(frozen=True, slots=True)
class PriceList:
    """The prices of one SMS part by the digits that numbers begin with; the longest beginning counts.

    `prices` are for all gateways. A gateway's own price for a number, in `of_gateways` by the name that people know,
    overrides them.
    """

    currency: str = ""  # as ISO 4217 has it
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    of_gateways: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    changed_at: datetime | None = None
    changed_by: str = ""

    def __bool__(self) -> bool:
        """Whether there are any prices."""
        return bool(self.prices or self.of_gateways)

    def of(self, phone_number: str, gateway: str = "") -> Decimal | None:
        """The price of a part to a number in E.164 form at a gateway; None if it has none."""
        own = _longest(self.of_gateways.get(shown(gateway), {}), phone_number)
        return _longest(self.prices, phone_number) if own is None else own

    def charged(self, phone_number: str, parts: int, gateway: str = "") -> Decimal:
        """What a message costs at most: a number without a price counts as the most expensive one.

        The list must not be empty.
        """
        price = self.of(phone_number, gateway)
        if price is None:
            own = self.of_gateways.get(shown(gateway), {})
            known = [*self.prices.values(), *own.values()]
            price = max(known or (one for prices in self.of_gateways.values() for one in prices.values()))
        return price * parts

    def expected(self, phone_number: str, shares: Shares) -> Decimal | None:
        """The price of a part on average, if gateways share the messages so; None if one of them has none."""
        prices = [self.of(phone_number, gateway) for gateway, _ in shares]
        if None in prices:
            return None
        total = sum((price * weight for price, (_, weight) in zip(prices, shares, strict=True) if price), Decimal(0))
        return total / sum(weight for _, weight in shares)

    @property
    def entries(self) -> list[Entry]:
        """The prices ordered by beginning, first those for all gateways, then those of each."""
        return [
            (prefix, str(price), self.currency, gateway)
            for gateway, prices in [("", self.prices), *sorted(self.of_gateways.items())]
            for prefix, price in sorted(prices.items())
        ]

    @property
    def csv(self) -> str:
        """The list as CSV with a header, which `entries_of` reads again."""
        width = len(_COLUMNS) + bool(self.of_gateways)
        return write_rows([(*_COLUMNS, _GATEWAY)[:width], *(entry[:width] for entry in self.entries)])


def _longest(prices: Mapping[str, Decimal], phone_number: str) -> Decimal | None:
    digits = phone_number.removeprefix("+")
    found = (prices.get(digits[:length]) for length in range(len(digits), 0, -1))
    return next((price for price in found if price is not None), None)


def price_list(entries: Mapping[int, Entry], now: datetime, username: str, gateways: Collection[str] = ()) -> PriceList:
    """The list of these entries, by their rows. Raises Invalid with what is wrong, as `prices.3.price`.

    `gateways` are the names that a price may have.
    """
    errors: list[FieldError] = []
    found: dict[str, dict[str, Decimal]] = {"": {}}
    common = ""  # the currency of the first row
    if len(entries) > MOST_PRICES:
        raise Invalid.of("prices", Fault.TOO_MANY_VALUES, most=MOST_PRICES)
    for row, entry in entries.items():
        prefix, price, currency, gateway = (unguarded(cell.strip()) for cell in entry)
        prefix, currency = prefix.removeprefix("+"), currency.upper()
        prices = found.setdefault(gateway, {})
        common = common or currency
        faults = {
            "prefix": Fault.GIVEN_TWICE if prefix in prices else _wrong(_PREFIX, prefix, Fault.PRICE_PREFIX),
            "price": _wrong(_PRICE, price, Fault.PRICE),
            "currency": _wrong(_CURRENCY, currency, Fault.CURRENCY)
            or (Fault.CURRENCIES if currency != common else None),
        }
        errors += (FieldError(f"prices.{row}.{name}", fault) for name, fault in faults.items() if fault)
        if gateway and gateway not in gateways:
            allowed = " / ".join(gateways)
            errors.append(FieldError(f"prices.{row}.{_GATEWAY}", Fault.NOT_A_CHOICE, {"allowed": allowed}))
        if not (faults["prefix"] or faults["price"]):
            prices[prefix] = Decimal(price.replace(",", "."))
    if errors:
        raise Invalid(*errors[:100])
    return PriceList(currency=common, prices=found.pop(""), of_gateways=found, changed_at=now, changed_by=username)


def _wrong(pattern: re.Pattern[str], cell: str, fault: Fault) -> Fault | None:
    return None if pattern.fullmatch(cell) else fault


def entries_of(text: str) -> dict[int, Entry]:
    """The entries of a CSV file by their rows. Its header is `prefix`, `price`, `currency` and optionally `gateway`.

    Raises Invalid if it has no such header, or cannot be read.
    """
    rows = [(number, cells) for number, cells in rows_of(text) if not isinstance(cells, list) or not is_blank(cells)]
    if not rows:
        return {}
    header = [cell.strip().lower() for cell in rows[0][1]] if isinstance(rows[0][1], list) else []
    if any(name not in header for name in _COLUMNS):
        raise Invalid.of("prices", Fault.PRICE_HEADER)
    places = [header.index(name) for name in (*_COLUMNS, _GATEWAY) if name in header]
    found: dict[int, Entry] = {}
    for number, cells in rows[1:]:
        if not isinstance(cells, list):
            raise Invalid(cells)
        padded = [*cells, *[""] * len(header)]
        prefix, price, currency, gateway = [*(padded[place] for place in places), ""][:4]
        found[number] = (prefix, price, currency, gateway)
    return found


@dataclass(frozen=True, slots=True)
class PriceEstimate:
    """What the messages to some people cost at the gateway, from a sample of them.

    Of the `looked_at` people in the sample, `unpriced` have numbers without a price; these count as zero.
    """

    currency: str
    amount: Decimal
    looked_at: int
    unpriced: int


def estimate(
    prices: PriceList,
    sample: Iterable[tuple[str, int]],
    people: int,
    shares: Callable[[str], Shares] = lambda _number: ((ONLY, 1),),
) -> PriceEstimate | None:
    """The estimate for a number of people, from a sample of phone numbers with SMS parts; None without prices.

    `shares` returns the gateways for a number, with weights.
    """
    if not prices:
        return None
    known = [(prices.expected(number, shares(number)), parts) for number, parts in sample]
    total = sum((price * parts for price, parts in known if price is not None), Decimal(0))
    amount = total * people / len(known) if known else Decimal(0)
    unpriced = sum(price is None for price, _parts in known)
    return PriceEstimate(prices.currency, amount.quantize(Decimal("0.01")), len(known), unpriced)
