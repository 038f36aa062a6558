"""Previews: how many clients a mailing would reach, what it costs, and whether its window is long enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ..clock import SystemClock
from ..domain.clients import Client, Contact, IndexedClient
from ..domain.errors import Invalid
from ..domain.faults import Fault
from ..domain.forecasts import Forecast, forecast, left_out
from ..domain.mailings import Mailing, OnUnknown
from ..domain.personal_texts import PersonalText, text_for
from ..domain.phone_numbers import normalize_phone
from ..domain.prices import PriceEstimate, PriceList, Shares, estimate
from ..domain.reasons import Cause, Reason
from ..domain.sms import SmsParts, part_count, sms_parts
from ..storage.clients import ClientRepository
from ..storage.segments import SegmentCounts
from ..wording import reason_text
from .audiences import Audiences, Headcount
from .contacts import Contacts
from .gateways import Throttle
from .mailing_fields import MailingFields, check_fields
from .recipients import RecipientFiles

SAMPLED = 100  # clients, as many as one call reads
_FEW = 1_000  # clients: if there are at most so many and the counters are not exact, they are read


@dataclass(frozen=True, slots=True)
class Sample:
    """What the first clients would get, if clients get different texts.

    `missing` counts those who lack a value, by its name. `parts` are their SMS parts, in order.
    """

    texts: tuple[PersonalText, ...]

    @property
    def missing(self) -> Counter[str]:
        return Counter(name for one in self.texts for name in one.missing)

    @property
    def left_out(self) -> Counter[Cause]:
        """Clients in the sample who would get nothing, and why."""
        return Counter(one.cause for one in self.texts if one.cause)

    @property
    def parts(self) -> list[int]:
        return sorted(sms_parts(one.text).parts for one in self.texts if one.cause is None)


@dataclass(frozen=True, slots=True)
class Counting:
    """How far a filtered segment is counted: how many of the `total` clients with its tags and operators."""

    headcount: Headcount
    total: int

    @property
    def is_over(self) -> bool:
        return not self.headcount.shard

    def about(self, count: int) -> int:
        """An estimate for all clients, if `count` were counted so far."""
        looked_at = self.headcount.looked_at
        return count if self.is_over or not looked_at else round(count * max(self.total, looked_at) / looked_at)


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview of a mailing. Its counters count everyone who matches, and those who would get the message.

    If they are not `exact` they are upper bounds: a client with several of the segment's tags is counted for each.
    """

    matching: Counter[tuple[str, str]]  # by time zone and operator
    reached: Counter[tuple[str, str]]
    left_out: Counter[Reason]
    sms: SmsParts
    starts_at: datetime
    ends_at: datetime
    forecast: Forecast
    text: str = ""
    sample: Sample | None = None
    counting: Counting | None = None
    price: PriceEstimate | None = None
    exact: bool = True

    @property
    def parts(self) -> int:
        """The SMS parts of all messages: exact if everybody gets the same text, else from the average of the sample."""
        people = self.reached.total()
        if self.sample and (counted := self.sample.parts):
            return round(sum(counted) / len(counted) * people)
        return self.sms.parts * people


class PreviewService:
    """Reads the segment's counters and a sample of clients, so that a preview for millions costs the same."""

    def __init__(
        self,
        clients: ClientRepository,
        audiences: Audiences,
        contacts: Contacts,
        recipients: RecipientFiles,
        control: Throttle,
        clock: SystemClock,
        prices: Callable[[], PriceList],
        shares: Callable[[Mailing, str], Shares],
    ) -> None:
        self._clients = clients
        self._audiences = audiences
        self._known_contacts = contacts
        self._recipients = recipients
        self._control = control
        self._clock = clock
        self._prices = prices
        self._shares = shares

    def draft(self, fields: MailingFields, so_far: Headcount | None = None) -> Preview:
        """The preview of a mailing that does not exist yet. Raises Invalid with each wrong field.

        If clients have to be read to count them, it reads about 5,000, continuing the headcount `so_far`.
        """
        now = self._clock.now()
        check_fields(fields, now)
        if fields.segment.recipients:
            self._recipients.get(fields.segment.recipients)
        return self._preview(fields.ordered("", "", now, OnUnknown.HOLD), now, so_far)

    def ordered(self, mailing: Mailing) -> Preview:
        """The preview of a mailing, as if it started now with today's clients."""
        return self._preview(mailing, self._clock.now())

    def _preview(self, mailing: Mailing, now: datetime, so_far: Headcount | None = None) -> Preview:
        start = max(mailing.start_at, now)
        matching: Counter[tuple[str, str]] = Counter()
        reached: Counter[tuple[str, str]] = Counter()
        reasons: Counter[Reason] = Counter()
        known: dict[str, Reason | None] = {}
        counting, counts = None, SegmentCounts(())
        if mailing.segment.is_counted:
            counts = self._clients.counts(mailing.segment)
        else:
            counting = self._counted(mailing, so_far, now)
            counts = SegmentCounts(counting.headcount.counts())
        if not counts.exact and sum(part.count for part in counts.parts) <= _FEW:
            counts = SegmentCounts(self._audiences.count(mailing.segment, Headcount(), now).counts())
        for part in counts.parts:
            if part.timezone not in known:
                known[part.timezone] = left_out(mailing.local_window, part.timezone, start, mailing.end_at)
            reason = known[part.timezone]
            if part.opted_out:
                reason = Reason.OPTED_OUT
            elif part.unreachable and not mailing.include_unreachable:
                reason = Reason.MARKED_UNREACHABLE
            matching[part.timezone, part.operator] += part.count
            if reason:
                reasons[reason] += part.count
            else:
                reached[part.timezone, part.operator] += part.count
        recipients: Counter[str] = Counter()
        for (timezone, _), count in reached.items():
            recipients[timezone] += count
        gateways = self._control.state().rate
        rates = [rate for rate in (mailing.rate_limit, gateways and gateways / self._control.weight(mailing)) if rate]
        plan = forecast(recipients, mailing.local_window, min(rates, default=None), start, mailing.end_at)
        prices = self._prices()
        contacts = self._contacts(mailing, now) if mailing.personal or prices else ()
        sample = Sample(tuple(text_for(mailing, one) for one in contacts)) if mailing.personal else None
        sms, text, end = sms_parts(mailing.text), mailing.text, mailing.end_at
        parts = (
            [0 if one.cause else part_count(one.text) for one in sample.texts]
            if sample
            else [sms.parts] * len(contacts)
        )
        numbers = (one.phone_number for one in contacts)
        price = estimate(prices, zip(numbers, parts, strict=True), reached.total(), partial(self._shares, mailing))
        return Preview(
            matching=matching,
            reached=reached,
            left_out=reasons,
            sms=sms,
            starts_at=start,
            ends_at=end,
            forecast=plan,
            text=text,
            sample=sample,
            counting=counting,
            price=price,
            exact=counts.exact,
        )

    def _counted(self, mailing: Mailing, so_far: Headcount | None, now: datetime) -> Counting:
        headcount = self._audiences.count(mailing.segment, so_far or Headcount(), now)
        return Counting(headcount, self._audiences.total(mailing.segment))

    def text_for_number(self, fields: MailingFields, phone_number: str) -> str:
        """The text that the owner of a number would get; with the values of some client if the owner is none.

        Raises Invalid if it is not a number, or if the owner would get nothing.
        """
        number = normalize_phone(phone_number)
        mailing = fields.ordered("", "", self._clock.now(), OnUnknown.HOLD)
        if not mailing.personal:
            return mailing.text
        client = None if mailing.segment.recipients else self._clients.find(number).client
        clients = [client] if client else self._first(mailing, self._clock.now())
        contacts = self._reaching(mailing, clients) or [Contact(number, "UTC", opted_out=False)]
        texts = [text_for(mailing, contact) for contact in contacts]
        text = next((one for one in texts if one.cause is None), texts[0])
        if text.cause:
            raise Invalid.of("phone_number", Fault.AS_TOLD, text=reason_text(text.cause))
        return text.text

    def _first(self, mailing: Mailing, now: datetime) -> Sequence[Client | IndexedClient]:
        return self._audiences.first(mailing.segment, SAMPLED, now)

    def _contacts(self, mailing: Mailing, now: datetime) -> list[Contact]:
        """The contacts of those first clients whom the mailing reaches."""
        contacts = self._reaching(mailing, self._first(mailing, now))
        also = mailing.include_unreachable
        return [one for one in contacts if not one.opted_out and (also or not one.unreachable)]

    def _reaching(self, mailing: Mailing, clients: Sequence[Client | IndexedClient]) -> list[Contact]:
        wanted = [(mailing, one.client_id) for one in clients]
        return list(self._known_contacts.of(wanted, personal=True).values())
