"""What a mailing costs, as views show it."""

from __future__ import annotations

from ..domain.costs import PRICES, cost_of, estimate
from ..domain.counters import Tally
from ..domain.mailings import MailingState
from ..web.fields import View

_DIGITS = 6  # of dollars: a message costs about 0.0000025


class CostView(View):
    """What AWS asks for sending, by its list prices of a day, without free tiers and storage.

    `estimate` is for one attempt of every message, `actual` for what was really done so far; null where that is not
    known yet: before everyone who matches has a message, or before the mailing is launched.
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
    def of_mailing(cls, state: MailingState, tally: Tally) -> CostView:
        """The cost of a mailing so far."""
        cost = cost_of(state, tally)
        return cls(estimate=_rounded(cost.estimate), actual=_rounded(cost.actual))


def _rounded(dollars: float | None) -> float | None:
    return None if dollars is None else round(dollars, _DIGITS)
