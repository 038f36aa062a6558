"""/admin/prices: what gateways charge, as a list that can be changed in place."""

from __future__ import annotations

from ..domain.prices import MOST_PRICES
from ..web.request import ADMINS
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _

pages = Pages()


@pages.get("/admin/prices")
def show_prices(request: PageRequest) -> Page:
    """Show the price list as CSV, in the form in which it can be changed."""
    prices = request.services.prices().get()
    return Page(
        "prices/page.html", {"prices": prices, "most": MOST_PRICES, "gateways": request.services.gateways.names}
    )


@pages.post("/admin/prices", shows=show_prices, roles=ADMINS)
def change_prices(request: PageRequest) -> Redirect:
    """Replace the price list."""
    request.services.prices().put_csv(request.form.raw("prices"), request.principal.username)
    return Redirect("/admin/prices", flash=_("The prices were saved."))
