"""Previews: whom a mailing would reach, what its text costs, and whether its window is long enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..clock import SystemClock
from ..domain.clients import Client, Contact
from ..domain.errors import Invalid, NotFound
from ..domain.faults import Fault
from ..domain.forecasts import Forecast, forecast, left_out
from ..domain.mailings import Mailing, OnUnknown, is_mailing_id
from ..domain.personal_texts import PersonalText, text_for
from ..domain.phone_numbers import normalize_phone
from ..domain.reasons import Cause, Reason
from ..domain.sms import SmsParts, sms_parts
from ..storage.clients import ClientRepository
from ..storage.mailings import MailingRepository
from ..wording import reason_text
from .gateways import Throttle
from .mailing_fields import MailingFields, check_fields

SAMPLED = 100  # clients; as many as one call reads


@dataclass(frozen=True, slots=True)
class Sample:
    """What the first clients that a mailing reaches would get, if not everybody gets the same.

    `missing` counts those of them who lack a value, by its name; `parts` are their SMS parts, in order.
    """

    texts: tuple[PersonalText, ...]

    @property
    def missing(self) -> Counter[str]:
        return Counter(name for one in self.texts for name in one.missing)

    @property
    def left_out(self) -> Counter[Cause]:
        """Who of them would get nothing, and why."""
        return Counter(one.cause for one in self.texts if one.cause)

    @property
    def parts(self) -> list[int]:
        return sorted(sms_parts(one.text).parts for one in self.texts if one.cause is None)


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview of a mailing. The counters have everyone who matches, and those of them who would get the message."""

    matching: Counter[tuple[str, str]]  # by time zone and operator
    reached: Counter[tuple[str, str]]
    left_out: Counter[Reason]
    sms: SmsParts
    starts_at: datetime
    ends_at: datetime
    forecast: Forecast
    text: str = ""
    sample: Sample | None = None

    @property
    def parts(self) -> int:
        """The SMS parts of all messages: exact if everybody gets the same, else by the average of the sample."""
        people = self.reached.total()
        if self.sample and (counted := self.sample.parts):
            return round(sum(counted) / len(counted) * people)
        return self.sms.parts * people


class PreviewService:
    """Reads the segment's counters and no client but a sample, so that a preview costs the same for millions."""

    def __init__(
        self,
        clients: ClientRepository,
        mailings: MailingRepository,
        control: Throttle,
        clock: SystemClock,
    ) -> None:
        self._clients = clients
        self._mailings = mailings
        self._control = control
        self._clock = clock

    def draft(self, fields: MailingFields) -> Preview:
        """The preview of a mailing that does not exist yet. Raises Invalid with each wrong field."""
        now = self._clock.now()
        check_fields(fields, now)
        return self._preview(fields.ordered("", "", now, OnUnknown.HOLD), now)

    def ordered(self, mailing_id: str) -> Preview:
        """The preview of a mailing, as if it started now with today's clients. Raises NotFound if there is none."""
        if not is_mailing_id(mailing_id):
            raise NotFound(Fault.NO_SUCH_MAILING, name=repr(mailing_id[:80]))
        return self._preview(self._mailings.get(mailing_id), self._clock.now())

    def _preview(self, mailing: Mailing, now: datetime) -> Preview:
        start = max(mailing.start_at, now)
        matching: Counter[tuple[str, str]] = Counter()
        reached: Counter[tuple[str, str]] = Counter()
        reasons: Counter[Reason] = Counter()
        known: dict[str, Reason | None] = {}
        for part in self._clients.counts(mailing.segment):
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
        sample = self._sample(mailing) if mailing.personal else None
        return Preview(
            matching, reached, reasons, sms_parts(mailing.text), start, mailing.end_at, plan, mailing.text, sample
        )

    def text_for_number(self, fields: MailingFields, phone_number: str) -> str:
        """What the owner of a number would get of a mailing: who is no client, with the values of one who would get it.

        Raises Invalid if the number is none, or if they would get nothing.
        """
        number = normalize_phone(phone_number)
        mailing = fields.ordered("", "", self._clock.now(), OnUnknown.HOLD)
        if not mailing.personal:
            return mailing.text
        place = self._clients.find(number)
        ids = [place.client.client_id] if place.client else [one.client_id for one in self._first(mailing)]
        contacts = self._clients.contacts(ids, personal=True).values() or [Contact(number, "UTC", opted_out=False)]
        texts = [text_for(mailing, contact) for contact in contacts]
        text = next((one for one in texts if one.cause is None), texts[0])
        if text.cause:
            raise Invalid.of("phone_number", Fault.AS_TOLD, text=reason_text(text.cause))
        return text.text

    def _first(self, mailing: Mailing) -> Sequence[Client]:
        return self._clients.list(mailing.segment, "", SAMPLED)[0]

    def _sample(self, mailing: Mailing) -> Sample:
        ids = (client.client_id for client in self._first(mailing))
        contacts = self._clients.contacts(ids, personal=True).values()
        also = mailing.include_unreachable
        reached = [one for one in contacts if not one.opted_out and (also or not one.unreachable)]
        return Sample(tuple(text_for(mailing, contact) for contact in reached))
