"""The paces of a gateway, and how much of them a message takes; the gateway may count messages or SMS parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from .gateway_control import GatewayControl
from .mailings import MOST_PARTS, Mailing
from .pace import Spacing
from .sms import part_count

# Calls may start this much later than their moment. The gaps between moments are longer by this, so that even then no
# second has more calls than the rate.
TOLERANCE = timedelta(milliseconds=100)


@dataclass(frozen=True, slots=True)
class GatewayPaces:
    """`counts_parts` says that the gateway's rate is of SMS parts, not of messages.

    A mailing's own rate always counts messages. So does the pace after a gateway said "too many", because that is about
    calls.
    """

    counts_parts: bool = False
    name: str = ""  # of the gateway, if there are several

    def weight(self, mailing: Mailing) -> int:
        """How much each message of a mailing counts against the gateway's rate: its SMS parts, or 1."""
        return part_count(mailing.text) if self.counts_parts else 1

    def of(self, mailing: Mailing, control: GatewayControl, now: datetime) -> dict[str, Spacing]:
        """The paces that a mailing's messages must keep now, by name, with what each message takes.

        The name contains what sets the pace, so that moments booked before a change belong to another pace. It does not
        contain a message's weight, which follows from its text.
        """
        paces: dict[str, Spacing] = {}
        own = f"-{self.name}" if self.name else ""
        if control.rate:
            heaviest = MOST_PARTS if self.counts_parts else 1
            paces[f"gateway{own}@{control.rate}"] = Spacing(_gap(control.rate), self.weight(mailing), heaviest)
        if mailing.rate_limit:
            paces[f"mailing-{mailing.mailing_id}@{mailing.rate_limit}"] = Spacing(_gap(mailing.rate_limit))
        if pace := control.pace(now):
            paces[f"taken{own}@{control.slowed_at:%H%M%S.%f}"] = Spacing(int(1_000_000 / pace) + 1)
        return paces

    def limit(self, mailings: Sequence[Mailing], control: GatewayControl, now: datetime) -> float | None:
        """What may be sent a second, counted in weights, if these mailings get equal shares; None without a limit."""
        if not (self.counts_parts and mailings):
            return control.limit(now)
        usual = len(mailings) / sum(1 / self.weight(mailing) for mailing in mailings)
        limit = control.limit(now, usual)
        return None if limit is None else limit * usual

    def spread(self, throttled: Sequence[Mailing], control: GatewayControl, now: datetime) -> float:
        """Seconds over which to spread retries after "too many".

        `throttled` has the mailing of each such message.
        """
        spans = [len(throttled) / pace] if (pace := control.pace(now)) else []
        if control.rate:
            spans.append(sum(map(self.weight, throttled)) / control.rate)
        return max(spans, default=1.0)


def _gap(rate: int) -> int:
    """Microseconds between the moments of a rate (a second)."""
    return int(1_000_000 / rate * (1 + TOLERANCE.total_seconds())) + 1
