"""/admin/system, for engineers: queues, workers, circuits, and what mailings cost on AWS."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from ..domain.costs import PRICES, MailingCost, cost_of
from ..domain.mailings import MailingState
from ..queues import QueueDepth
from . import formats
from .page_request import PageRequest
from .routing import Page, Pages
from .texts import _

pages = Pages()
_MAILINGS = 10  # the newest ones, whose costs are shown; each costs a read


class SystemQuery(BaseModel):
    """The mailing whose cost is shown; "" for the newest ones."""

    model_config = ConfigDict(extra="forbid")

    mailing: str = ""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue in the list. `dead` says whether it is a dead-letter queue."""

    title: str
    about: str
    depth: QueueDepth
    dead: bool


@dataclass(frozen=True, slots=True)
class CostRow:
    """A mailing with what it costs on AWS."""

    state: MailingState
    cost: MailingCost

    @property
    def of_a_thousand(self) -> float | None:
        """Dollars for 1,000 of its messages, so far; None if there are none yet."""
        total = self.state.statistics.total
        return None if self.cost.actual is None or not total else 1000 * self.cost.actual / total


@pages.get("/admin/system")
def show_system(request: PageRequest, query: SystemQuery) -> Page:
    """Show the parts of the service and their state. Raises NotFound if there is no such mailing."""
    return Page("system/page.html", _values(request, query))


@pages.get("/admin/system/now")
def show_now(request: PageRequest, query: SystemQuery) -> Page:
    """The content without the frame of the page, which asks for it every few seconds."""
    return Page("system/now.html", _values(request, query))


def _values(request: PageRequest, query: SystemQuery) -> dict[str, object]:
    statistics = request.services.statistics
    found = [statistics.detail(query.mailing)] if query.mailing else statistics.details(_newest(request))
    return {
        "queues": _queues(request),
        "costs": [CostRow(state, cost_of(state, counters)) for state, counters in found],
        "only": query.mailing,
        "prices_of": formats.day(PRICES.as_of),
        "region": PRICES.region,
    }


def _newest(request: PageRequest) -> list[str]:
    mailings, _after = request.services.mailings.list(None, "", _MAILINGS)
    return [one.mailing_id for one in mailings if one.launched_at]


def _queues(request: PageRequest) -> list[QueueRow]:
    texts = {
        "dispatch": (_("Preparing mailings"), _("Mailings that are about to start, and their recipients.")),
        "dispatch-dead": (_("Preparing mailings, failed"), _("Steps that failed every time. The log says why.")),
        "receipts": (_("Receipts"), _("Delivery reports from the gateway, waiting to be read.")),
        "receipts-dead": (_("Receipts, failed"), _("Receipts that failed every time. The log says why.")),
        "send": (_("Sending messages"), _("Messages waiting to be sent to the gateway.")),
        "send-dead": (_("Failed messages"), _("Messages that failed every time.")),
    }
    return [
        QueueRow(*texts[name], queue.depths(), name.endswith("-dead"))
        for name, queue in request.services.queues.items()
    ]
