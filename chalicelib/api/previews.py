"""/api/mailing/preview/ and /api/mailing/{id}/preview/: previews of mailings."""

from __future__ import annotations

from collections import Counter

from pydantic import StrictStr

from ..domain.errors import Conflict, NotFound, TooManyRequests
from ..domain.reasons import Cause, Reason
from ..domain.segments import Segment
from ..domain.sms import SmsParts, part_count, simpler
from ..services.previews import Counting, Preview, Sample
from ..web import headcounts
from ..web.bodies import MailingBody, MailingTestBody
from ..web.fields import MomentOut, View
from ..web.request import Request
from ..wording import reason_text
from .costs import CostView
from .gateway import KEY, TrialView
from .mailings import saved_of
from .prices import PriceEstimateView
from .routing import Routes
from .templates import template_of

routes = Routes("mailing")
_EXAMPLES = 10  # of a sample


class LeftOutView(View):
    """How many of the matching clients would get no message, and why."""

    reason: str
    reason_code: Reason
    count: int


class TimeZoneView(View):
    """A time zone's clients: how many match, and how many of them would get the message."""

    timezone: str
    matching: int
    recipients: int


class OperatorView(View):
    """An operator's clients: how many match, and how many would get the message. null: unknown operator."""

    operator: str | None
    matching: int
    recipients: int


class TextView(View):
    """The text as SMS. `units` are septets (GSM-7) or 16-bit code units (UCS-2); `forcing` has the characters that
    make it UCS-2. `simpler` is the text in fewer parts, with plain quotes, dashes and spaces; null if there is none.
    """

    encoding: str
    characters: int
    units: int
    units_per_part: int
    parts: int
    forcing: str
    simpler: str | None

    @classmethod
    def of(cls, sms: SmsParts, text: str) -> TextView:
        return cls(
            encoding=sms.encoding,
            characters=sms.characters,
            units=sms.units,
            units_per_part=sms.units_per_part,
            parts=sms.parts,
            forcing=sms.forcing,
            simpler=simpler(text),
        )


class WindowView(View):
    """The time left to send, and the time needed.

    `rate` is the lower of the mailing's and the gateway's rate, in messages per second; a gateway's rate in SMS parts
    is divided by the parts of the text. If neither is set, the time needed is unknown and counts as enough.
    `seconds_needed` is the time at that rate without a break; `finishes_at` also respects the clients' local hours.
    Both are estimates: a slow gateway and retries take longer.
    """

    starts_at: MomentOut
    ends_at: MomentOut
    seconds: float
    rate: float | None
    seconds_needed: float | None
    finishes_at: MomentOut | None
    long_enough: bool


class ExampleView(View):
    """What one client would get; with a reason if they would get nothing after all."""

    text: str
    parts: int
    reason: str
    reason_code: Reason | None


class SampleView(View):
    """The texts of the first `looked_at` clients, up to 100; ten of them are `examples`.

    `missing` counts the clients without a value, by its name. `least`, `typical` and `most` are SMS parts; null if none
    of them gets anything.
    """

    looked_at: int
    missing: dict[str, int]
    least: int | None
    typical: int | None
    most: int | None
    examples: list[ExampleView]

    @classmethod
    def of(cls, sample: Sample) -> SampleView:
        parts = sample.parts
        return cls(
            looked_at=len(sample.texts),
            missing=dict(sample.missing),
            least=parts[0] if parts else None,
            typical=parts[len(parts) // 2] if parts else None,
            most=parts[-1] if parts else None,
            examples=[
                ExampleView(
                    text=one.text,
                    parts=part_count(one.text),
                    reason=reason_text(one.cause),
                    reason_code=one.cause.reason if one.cause else None,
                )
                for one in sample.texts[:_EXAMPLES]
            ],
        )


class CountingView(View):
    """How far the clients of a filter are counted: `looked_at` of about `of`. Send `next` as `counted` to continue; it
    is null when all are counted.
    """

    looked_at: int
    of: int
    next: str | None

    @classmethod
    def of_preview(cls, counting: Counting, segment: Segment) -> CountingView:
        return cls(
            looked_at=counting.headcount.looked_at,
            of=max(counting.total, counting.headcount.looked_at),
            next=headcounts.written(counting.headcount, segment),
        )


class PreviewBody(MailingBody):
    """A mailing to preview. `counted` is `counting.next` of the previous answer, if a filter has many clients."""

    counted: StrictStr | None = None


class PreviewView(View):
    """How many clients match now, how many of them get the message, what it costs, and whether there is enough time.

    With a filter each request looks at the next 5,000 clients: until `counting.next` is null, all numbers are those so
    far. `counting` is null without a filter.

    If `exact` is false, the numbers of clients are at most so many: of several tags, who has more than one of them is
    counted with each, though they get one message. Up to 1,000 clients are always counted exactly.

    `sample` is null if everybody gets the same text; otherwise `text` is the text before values are put in, and
    `sms_parts` an estimate.
    """

    exact: bool
    matching: int
    recipients: int
    left_out: list[LeftOutView]
    by_timezone: list[TimeZoneView]
    by_operator: list[OperatorView]
    text: TextView
    sample: SampleView | None
    sms_parts: int
    window: WindowView
    cost: CostView
    price: PriceEstimateView | None
    counting: CountingView | None

    @classmethod
    def of(cls, preview: Preview, segment: Segment) -> PreviewView:
        zones, zones_reached = _sums(preview.matching, 0), _sums(preview.reached, 0)
        operators, operators_reached = _sums(preview.matching, 1), _sums(preview.reached, 1)
        recipients = preview.reached.total()
        return cls(
            exact=preview.exact,
            matching=preview.matching.total(),
            recipients=recipients,
            left_out=[
                LeftOutView(reason=reason_text(Cause(reason)), reason_code=reason, count=count)
                for reason, count in preview.left_out.most_common()
            ],
            by_timezone=[
                TimeZoneView(timezone=name, matching=count, recipients=zones_reached[name])
                for name, count in sorted(zones.items())
            ],
            by_operator=[
                OperatorView(operator=code or None, matching=count, recipients=operators_reached[code])
                for code, count in sorted(operators.items())
            ],
            text=TextView.of(preview.sms, preview.text),
            sample=SampleView.of(preview.sample) if preview.sample else None,
            sms_parts=preview.parts,
            window=_window(preview),
            cost=CostView.of_draft(preview.matching.total(), recipients),
            price=PriceEstimateView.of(preview.price) if preview.price else None,
            counting=CountingView.of_preview(preview.counting, segment) if preview.counting else None,
        )


def _sums(counts: Counter[tuple[str, str]], place: int) -> Counter[str]:
    sums: Counter[str] = Counter()
    for key, count in counts.items():
        sums[key[place]] += count
    return sums


def _window(preview: Preview) -> WindowView:
    plan = preview.forecast
    return WindowView(
        starts_at=preview.starts_at,
        ends_at=preview.ends_at,
        seconds=max(0.0, (preview.ends_at - preview.starts_at).total_seconds()),
        rate=None if plan.rate is None else round(plan.rate, 2),
        seconds_needed=plan.needed.total_seconds() if plan.needed is not None else None,
        finishes_at=plan.finishes_at,
        long_enough=plan.long_enough,
    )


@routes.route("POST", "/api/mailing/preview")
def preview_draft(request: Request, body: PreviewBody) -> PreviewView:
    """Preview a mailing without creating it: whom it reaches, its SMS parts and whether there is enough time."""
    fields = body.fields(template_of(request.services, body.template), saved_of(request.services, body.clients))
    so_far = headcounts.read(body.counted, fields.segment)
    return PreviewView.of(request.services.previews.draft(fields, so_far), fields.segment)


@routes.route("POST", "/api/mailing/test", reads=(KEY,), errors=(Conflict, TooManyRequests))
def test_mailing(request: Request, body: MailingTestBody) -> TrialView:
    """Send the text of a mailing to a number of your own, as its owner would get it, before it is sent to anybody.

    If no client has the number, the values are those of the first client. It is not counted in statistics; otherwise it
    works like `/api/gateway/test/`.
    """
    mailing, services = body.mailing, request.services
    fields = mailing.fields(template_of(services, mailing.template), saved_of(services, mailing.clients))
    text = request.services.previews.text_for_number(fields, body.phone_number)
    username, key = request.principal.username, request.header("idempotency-key")
    trial = request.services.trials().send(body.phone_number, text, username, key, fields.gateway or None)
    line = request.services.gateways.named(fields.gateway or None)
    return TrialView.of(trial, line.control.state())


@routes.route("GET", "/api/mailing/{mailing_id}/preview", errors=(NotFound,))
def preview_mailing(request: Request, mailing_id: str) -> PreviewView:
    """Preview an existing mailing as if it started now, or at its later start, with today's clients."""
    mailing = request.services.mailings.get(mailing_id)
    return PreviewView.of(request.services.previews.ordered(mailing), mailing.segment)
