"""/api/mailing/stats/ and /api/mailing/{id}/stats/: the results of mailings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime

from ..domain.deliveries import Deliveries
from ..domain.errors import NotFound
from ..domain.mailing_counters import MailingCounters
from ..domain.mailings import MailingState
from ..domain.progress import progress_of
from ..domain.reasons import Reason
from ..domain.results import Help, Result, Standing, result_of
from ..domain.statuses import MailingStatus, MessageStatus
from ..domain.stops import Span
from ..services.statistics import StatusOverview
from ..web.fields import MomentOut, View
from ..web.request import Request
from ..wording import reason_text
from .costs import CostView
from .mailings import CountsView
from .reasons import reasoned
from .routing import Routes

routes = Routes("mailing")


class StatusView(View):
    """The mailings of one status: how many there are, and their messages by status."""

    status: MailingStatus
    mailings: int
    messages: CountsView

    @classmethod
    def of(cls, overview: StatusOverview) -> StatusView:
        return cls(status=overview.status, mailings=overview.mailings, messages=_counts(overview.messages))


class OverviewView(View):
    """All mailings by status, including statuses without mailings."""

    total: int
    messages: CountsView
    by_status: list[StatusView]


class ReasonView(View):
    """How many messages have a status for a reason. If all attempts failed, it is the reason of the last one."""

    status: MessageStatus
    reason: str
    reason_code: Reason
    reason_detail: str
    count: int


class HourView(View):
    """How many messages were sent in an hour, by its start; a week after the mailing's start, in a day (UTC)."""

    hour: MomentOut
    sent: int


class DeliveryReasonView(View):
    """How many messages were not delivered for a reason; `permanent` if no message will ever reach these numbers."""

    reason: str
    reason_code: Reason
    permanent: bool
    count: int


class WithinView(View):
    """How many messages were delivered within so many seconds after they were sent; null for later ones."""

    seconds: int | None
    count: int


class DeliveriesView(View):
    """What the gateway's receipts have reported. `pending`, `delivered`, `undelivered` and `no_receipt` add up to
    `sent`.

    `parts` and `prices` (by currency) are sums over the messages whose receipts have them.
    """

    pending: int
    delivered: int
    undelivered: int
    no_receipt: int
    by_reason: list[DeliveryReasonView]
    within: list[WithinView]
    parts: int
    prices: dict[str, float]

    @classmethod
    def of(cls, told: Deliveries) -> DeliveriesView:
        reasons = [
            DeliveryReasonView(reason=reason_text(cause), reason_code=cause.reason, permanent=permanent, count=count)
            for (cause, permanent), count in told.why.items()
        ]
        within = sorted(told.within.items(), key=lambda one: one[0] or float("inf"))
        return cls(
            **{str(status): count for status, count in told.by_status.items()},
            by_reason=sorted(reasons, key=lambda one: (-one.count, one.reason)),
            within=[WithinView(seconds=seconds, count=count) for seconds, count in within],
            parts=told.parts,
            prices={currency: round(price, 6) for currency, price in told.prices.items()},
        )


class PartsView(View):
    """How many SMS parts were sent in a day (UTC)."""

    day: date
    parts: int


class ResultView(View):
    """The result in one look. `got`, `missed`, `unknown` (whether they got it) and `open` (they still may) are people,
    and add up to `total`. A sent message counts as `got`, unless a receipt says that it did not reach the phone.

    `standing` is `ahead` before the mailing has started, then `running` or `paused`; after its end `reached` if nobody
    is left whom it could reach, `partly` if some did not get it, `nobody` if nobody did, and `stopped` if it was
    cancelled or could not start. `reason` says why most of those who missed it did, and `because_of_it` how many these
    are. `help` is the one action that helps now: `resume`, `retry`, or `missed` (a mailing to those who got nothing).
    """

    standing: Standing
    total: int
    got: int
    missed: int
    unknown: int
    open: int
    reason: str
    reason_code: Reason | None
    reason_detail: str
    because_of_it: int
    help: Help | None

    @classmethod
    def of(cls, result: Result) -> ResultView:
        facts = asdict(result)
        del facts["cause"]
        return cls(**facts, **reasoned(result.cause))


class MailingStatisticsView(View):
    """The results of a mailing in detail.

    They are exact once the mailing has finished; while it runs, they are a few seconds behind. `by_reason` has the
    messages that were not sent and those that wait. `rate` is in messages per second: while the mailing runs, of the
    last minute; once it has finished, from the first to the last sent message; both without the mailing's pauses and
    those of all sending. `seconds_left` is how long the rest takes at that rate. Both are null if they are not known,
    and while nothing can be sent. `maybe_twice` is how many people may have got the message
    twice, because it was sent again when it was unclear whether the gateway had sent it; it is 0 if the gateway
    recognises ids. `sms_parts` are those of the texts that were sent, counted by this service (null if they were not
    counted); the gateway's own count is in `delivery`. `delivery` is null if no receipts are wanted and none came.
    """

    mailing: str
    name: str
    status: MailingStatus
    by_status: CountsView
    by_reason: list[ReasonView]
    by_hour: list[HourView]
    first_sent_at: MomentOut | None
    last_sent_at: MomentOut | None
    result: ResultView
    rate: float | None
    seconds_left: int | None
    maybe_twice: int
    sms_parts: int | None
    sms_parts_by_day: list[PartsView]
    delivery: DeliveriesView | None
    cost: CostView

    @classmethod
    def of(
        cls,
        state: MailingState,
        counters: MailingCounters,
        told: Deliveries | None,
        parts: Mapping[date, int] | None,
        stops: Sequence[Span],
        now: datetime,
        *,
        ids_recognised: bool,
    ) -> MailingStatisticsView:
        progress = progress_of(state, counters, stops, now)
        reasons = [
            ReasonView(
                status=status,
                reason=reason_text(cause),
                reason_code=cause.reason,
                reason_detail=cause.detail,
                count=count,
            )
            for (status, cause), count in counters.by_cause.items()
        ]
        return cls(
            mailing=state.mailing.mailing_id,
            name=state.mailing.title,
            status=state.mailing.status,
            by_status=CountsView(**state.statistics.counts()),
            by_reason=sorted(reasons, key=lambda one: (-one.count, one.status, one.reason)),
            by_hour=[HourView(hour=hour, sent=sent) for hour, sent in sorted(counters.by_hour.items())],
            first_sent_at=counters.first_sent_at,
            last_sent_at=counters.last_sent_at,
            result=ResultView.of(result_of(state, counters, now, told)),
            rate=round(progress.rate, 3) if progress.rate is not None else None,
            seconds_left=round(progress.left.total_seconds()) if progress.left is not None else None,
            maybe_twice=0 if ids_recognised else counters.maybe_twice,
            sms_parts=None if parts is None else sum(parts.values()),
            sms_parts_by_day=[PartsView(day=day, parts=count) for day, count in sorted((parts or {}).items())],
            delivery=DeliveriesView.of(told) if told else None,
            cost=CostView.of_mailing(state, counters),
        )


def _counts(messages: Counter[str]) -> CountsView:
    names = [name for name in CountsView.model_fields if name != "total"]
    return CountsView(total=messages.total(), **{name: messages[name] for name in names})


@routes.route("GET", "/api/mailing/stats")
def read_statistics(request: Request) -> OverviewView:
    """Count all mailings by status, and their messages."""
    overview = request.services.statistics.overview()
    return OverviewView(
        total=sum(one.mailings for one in overview),
        messages=_counts(sum((one.messages for one in overview), Counter())),
        by_status=[StatusView.of(one) for one in overview],
    )


@routes.route("GET", "/api/mailing/{mailing_id}/stats", errors=(NotFound,))
def read_mailing_statistics(request: Request, mailing_id: str) -> MailingStatisticsView:
    """Read the results of a mailing in detail."""
    state, counters = request.services.statistics.detail(mailing_id)
    told = request.services.statistics.deliveries(state, counters)
    parts = request.services.statistics.parts(state, counters)
    return MailingStatisticsView.of(
        state,
        counters,
        told,
        parts,
        request.services.gateways.stops_known(state.mailing),
        request.services.clock.now(),
        ids_recognised=request.services.gateways.capabilities().recognises_ids,
    )
