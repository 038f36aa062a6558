"""/api/prices/: what gateways charge, by how numbers begin."""

from __future__ import annotations

from ..domain.file_texts import FileText
from ..domain.prices import PriceEstimate, PriceList
from ..web.fields import MomentOut, View
from ..web.parsing import CSV
from ..web.prices import PriceListBody
from ..web.request import ADMINS, Request, Text
from .routing import Routes

routes = Routes("prices")
MAX_CSV = 256 * 1024  # bytes; the longest list has a quarter of this


class PriceView(View):
    """The price of one SMS part to numbers with a prefix: for one gateway, or for all if `gateway` is null."""

    prefix: str
    price: str
    gateway: str | None


class PriceListView(View):
    """All prices by prefix, and who saved them when; null and empty if nobody did."""

    currency: str
    prices: list[PriceView]
    changed_at: MomentOut | None
    changed_by: str

    @classmethod
    def of(cls, prices: PriceList) -> PriceListView:
        return cls(
            currency=prices.currency,
            prices=[
                PriceView(prefix=f"+{prefix}", price=price, gateway=gateway or None)
                for prefix, price, _currency, gateway in prices.entries
            ],
            changed_at=prices.changed_at,
            changed_by=prices.changed_by,
        )


class PriceEstimateView(View):
    """What the messages cost at the gateway, by the numbers of up to 100 clients. `unpriced` of the `looked_at` have
    numbers without a price, which count as nothing.
    """

    currency: str
    amount: str
    looked_at: int
    unpriced: int

    @classmethod
    def of(cls, price: PriceEstimate) -> PriceEstimateView:
        return cls(
            currency=price.currency, amount=str(price.amount), looked_at=price.looked_at, unpriced=price.unpriced
        )


@routes.route("GET", "/api/prices")
def read_prices(request: Request) -> PriceListView:
    """Read the price list."""
    return PriceListView.of(request.services.prices().get())


@routes.route("PUT", "/api/prices", roles=ADMINS)
def replace_prices(request: Request, body: PriceListBody) -> PriceListView:
    """Replace the price list."""
    return PriceListView.of(request.services.prices().put(body.entries(), request.principal.username))


@routes.route("GET", "/api/prices/export", produces=CSV)
def export_prices(request: Request) -> Text:
    """Get the price list as CSV."""
    return Text(request.services.prices().get().csv, f"{CSV}; charset=utf-8")


@routes.route("PUT", "/api/prices/import", consumes=CSV, max_bytes=MAX_CSV, roles=ADMINS)
def import_prices(request: Request, body: FileText) -> PriceListView:
    """Replace the price list by a CSV file whose header names `prefix`, `price`, `currency` and, if a price is of one
    gateway only, `gateway`, in any order.
    """
    return PriceListView.of(request.services.prices().put_csv(body.text, request.principal.username))
