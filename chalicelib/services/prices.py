"""The price list of the gateways, which people keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..clock import SystemClock
from ..domain.errors import Invalid
from ..domain.faults import Fault
from ..domain.prices import Entry, PriceList, entries_of, price_list
from ..storage.prices import PriceRepository


class PriceService:
    """Reads and replaces the price list."""

    def __init__(self, prices: PriceRepository, clock: SystemClock, gateways: Sequence[str]) -> None:
        self._prices = prices
        self._clock = clock
        self._gateways = gateways

    def get(self) -> PriceList:
        """The price list, empty if there is none."""
        return self._prices.get()

    def check_there_are_some(self, field: str) -> None:
        """Raises Invalid for this field if there is no price list, which a budget needs."""
        if not self.get():
            raise Invalid.of(field, Fault.BUDGET_WITHOUT_PRICES)

    def put(self, entries: Mapping[int, Entry], username: str) -> PriceList:
        """Replace the list by these entries (by row).

        Raises Invalid with each wrong entry, and then changes nothing.
        """
        made = price_list(entries, self._clock.now(), username, self._gateways)
        self._prices.put(made)
        return made

    def put_csv(self, text: str, username: str) -> PriceList:
        """Replace the list by a CSV file. Raises Invalid as `put` does, with the rows of the file."""
        return self.put(entries_of(text), username)
