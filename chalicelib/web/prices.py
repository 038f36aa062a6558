"""The bodies of price lists."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictStr

from ..domain.prices import MOST_PRICES, Entry
from .fields import Body, example


class PriceBody(Body):
    """The price of one SMS part to numbers that begin with a prefix, such as +7 or +7916: of one gateway, or of all."""

    prefix: Annotated[StrictStr, Field(max_length=16, examples=["+7916"])]
    price: Annotated[StrictStr, Field(max_length=20, pattern="^[0-9]{1,6}([.][0-9]{1,6})?$", examples=["2.10"])]
    gateway: Annotated[StrictStr | None, Field(max_length=20, examples=["twilio"])] = None


class PriceListBody(Body):
    """All prices, in one currency (ISO 4217). The longest matching prefix counts, and a price for one gateway before
    one for all.
    """

    model_config = example({"currency": "EUR", "prices": [{"prefix": "+49", "price": "0.075"}]})

    currency: Annotated[StrictStr, Field(pattern="^[A-Z]{3}$", examples=["EUR"])]
    prices: list[PriceBody] = Field(max_length=MOST_PRICES, examples=[[{"prefix": "+49", "price": "0.075"}]])

    def entries(self) -> dict[int, Entry]:
        return {
            place: (one.prefix, one.price, self.currency, one.gateway or "") for place, one in enumerate(self.prices)
        }
