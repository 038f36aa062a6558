"""What a mailing costs, as views show it."""

from __future__ import annotations

from ..domain.costs import PRICES, cost_of, estimate
from ..domain.mailing_counters import MailingCounters
from ..domain.mailings import MailingState
from ..web.fields import View

_DIGITS = 6  # of dollars: a message costs about 0.0000025


class CostView(View):
    """What AWS charges for sending, at the list prices of a day, not counting free tiers and storage.

    `estimate` assumes one attempt for every message; `actual` counts the work done so far. Each is null if it is not
    known yet: `estimate` until all recipients are found, `actual` until the mailing starts.
    """

    currency: str = "USD"
    region: str = PRICES.region
    prices_as_of: str = PRICES.as_of.isoformat()
    estimate: float | None
    actual: float | None

    @classmethod
    def of_draft(cls, matching: int, recipients: int) -> CostView:
        """The cost of a mailing that is not sent yet."""
        return cls(estimate=round(estimate(matching, recipients), _DIGITS), actual=None)

    @classmethod
    def of_mailing(cls, state: MailingState, counters: MailingCounters) -> CostView:
        """The cost of a mailing so far."""
        cost = cost_of(state, counters)
        return cls(estimate=_rounded(cost.estimate), actual=_rounded(cost.actual))


def _rounded(dollars: float | None) -> float | None:
    return None if dollars is None else round(dollars, _DIGITS)
