"""The price list of the gateways: what people put, and read again."""

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
        """The price list, an empty one if there is none."""
        return self._prices.get()

    def check_there_are_some(self, field: str) -> None:
        """Raises Invalid, with this field, if there is no price list that a budget could be reckoned by."""
        if not self.get():
            raise Invalid.of(field, Fault.BUDGET_WITHOUT_PRICES)

    def put(self, entries: Mapping[int, Entry], username: str) -> PriceList:
        """Replace the list by entries, by their rows. Raises Invalid with each wrong one, and changes nothing then."""
        made = price_list(entries, self._clock.now(), username, self._gateways)
        self._prices.put(made)
        return made

    def put_csv(self, text: str, username: str) -> PriceList:
        """Replace the list by that of a CSV file. Raises Invalid as `put` does, with the rows of the file."""
        return self.put(entries_of(text), username)
