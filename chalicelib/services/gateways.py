"""The gateways: one, or several with a circuit and paces each, and which of them a message goes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from ..domain.errors import Invalid
from ..domain.faults import Fault
from ..domain.gateway_control import GatewayControl
from ..domain.gateway_routes import GatewayRoutes, bound_to, internal, shown
from ..domain.mailings import Mailing
from ..domain.messages import Attempt, Message
from ..domain.statuses import MailingStatus
from ..domain.stops import Span, common, known_stops
from ..gateways.base import Capabilities, Gateway
from .gateway_control import GatewayControlService


class Throttle(Protocol):
    """How much may be fed: of one gateway, or of several together."""

    def state(self, since: datetime | None = None) -> GatewayControl:
        """The control, at most a second old, or as it was at `since` or later."""
        ...

    def controls(self) -> list[GatewayControl]:
        """That of each gateway."""
        ...

    def weight(self, mailing: Mailing) -> int:
        """How many of what the rate counts each message of a mailing is."""
        ...

    def limit(self, mailings: Sequence[Mailing]) -> float | None:
        """What may leave a second, as `weight` counts, while these mailings get equal shares; None without a limit."""
        ...

    def booked_until(self, mailing: Mailing) -> datetime | None:
        """The moment up to which a mailing's own pace is taken, if it has one and no gateway does."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """A gateway, with its own circuit and paces; `name` is as rows have it.

    `concurrency` is how many calls a sender may make of it at the same time, 0 for GATEWAY_CONCURRENCY.
    """

    name: str
    gateway: Gateway
    control: GatewayControlService
    concurrency: int = 0


class Gateways:
    """All gateways, in the order in which they are configured."""

    def __init__(self, lines: Sequence[Line], routes: GatewayRoutes) -> None:
        self.lines = {line.name: line for line in lines}
        self._routes = routes
        self.first = lines[0]
        self.several = len(lines) > 1
        self._only = (self.first.name,)
        self.throttle: Throttle = Together(lines) if self.several else self.first.control

    def __getitem__(self, name: str) -> Line:
        return self.lines[name]

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines.values())

    def named(self, name: str | None, field: str = "gateway") -> Line:
        """The gateway that people know by this name; without one, the first. Raises Invalid if there is none."""
        if name is None:
            return self.first
        if internal(name) not in self.lines:
            raise Invalid.of(field, Fault.NOT_A_CHOICE, allowed=" / ".join(self.names))
        return self.lines[internal(name)]

    def chosen(self, name: str | None) -> list[Line]:
        """The gateway of this name, or all. Raises Invalid if there is none."""
        return list(self) if name is None else [self.named(name)]

    @property
    def by_name(self) -> dict[str, Gateway]:
        """The gateways by what people call them."""
        return {shown(name): line.gateway for name, line in self.lines.items()}

    @property
    def names(self) -> list[str]:
        """What people call them."""
        return [shown(name) for name in self.lines]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """These, as the options of a form: a value and what is shown."""
        return [(name, name) for name in self.names]

    def choices(self, message: Message, mailing: Mailing, attempts: Sequence[Attempt]) -> tuple[str, ...]:
        """The gateways that may get a message after these attempts; the second if the first is down, and so on.

        One that may have taken it stays the only one, up or down: what is unknown goes nowhere else. So does one that
        the mailing names. There is none if that one is not configured any more.
        """
        if not (self.several or attempts or mailing.gateway):
            return self._only
        bound = bound_to(attempts)
        if bound is not None:
            wanted: tuple[str, ...] = (bound,)
        elif mailing.gateway:
            wanted = (internal(mailing.gateway),)
        else:
            wanted = self._routes.order(message.message_id, message.phone_number) if self.several else self._only
        return tuple(name for name in wanted if name in self.lines)

    def shares(self, mailing: Mailing, phone_number: str) -> tuple[tuple[str, int], ...]:
        """The gateways that messages of a mailing to a number go to while all are up, with their weights."""
        if mailing.gateway or not self.several:
            return ((internal(mailing.gateway or shown(self.first.name)), 1),)
        return self._routes.weights(phone_number)

    def of(self, message: Message, mailing: Mailing) -> Gateway:
        """The gateway that a message went to the last time, or will go to."""
        names = [attempt.gateway for attempt in reversed(message.attempts)]
        names += self.choices(message, mailing, message.attempts)
        return self.lines.get(next(iter(names), self.first.name), self.first).gateway

    def stops_known(self, mailing: Mailing) -> Sequence[Span]:
        """When nothing of a running mailing could be sent lately, or can be now, as far as is known without its trail.

        Of several gateways that is while all were closed to it.
        """
        if mailing.status is not MailingStatus.RUNNING:
            return ()
        return common([known_stops(line.control.state()) for line in self._open_to(mailing)])

    def stops_between(self, mailing: Mailing, since: datetime, until: datetime) -> Sequence[Span]:
        """When nothing of a mailing could be sent between two moments."""
        return common([line.control.stops_between(since, until) for line in self._open_to(mailing)])

    def _open_to(self, mailing: Mailing) -> list[Line]:
        """The gateways that messages of a mailing may go to."""
        if not mailing.gateway:
            return list(self)
        return [line for line in self if line.name == internal(mailing.gateway)]

    def capabilities(self, name: str = "") -> Capabilities:
        """What the gateway of this name says of itself; without a name, what all of them do."""
        all_say = [line.gateway.capabilities for line in self.lines.values()]
        if internal(name) in self.lines and name:
            all_say = [self.lines[internal(name)].gateway.capabilities]
        return Capabilities(
            recognises_ids=all(one.recognises_ids for one in all_say),
            counts_parts=any(one.counts_parts for one in all_say),
            can_be_asked=all(one.can_be_asked for one in all_say),
            gives_receipts=all(one.gives_receipts for one in all_say),
        )


class Together:
    """Several gateways as a feeder sees them: it feeds as long as one circuit is closed."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._controls = [line.control for line in lines]

    def controls(self) -> list[GatewayControl]:
        """See Throttle."""
        return [control.state() for control in self._controls]

    def state(self, since: datetime | None = None) -> GatewayControl:
        """One that is closed, with the rate of all that are; if all are open, the one that is tried first."""
        states = [control.state(since) for control in self._controls]
        closed = [state for state in states if not state.open]
        if closed:
            rates = [state.rate for state in closed if state.rate]
            return replace(closed[0], rate=sum(rates) if len(rates) == len(closed) else None, slowed_at=None)
        tried = [state for state in states if not state.held and state.retry_at]
        return min(tried, key=lambda state: str(state.retry_at), default=states[0])

    def weight(self, mailing: Mailing) -> int:
        """Together they count messages."""
        del mailing
        return 1

    def limit(self, mailings: Sequence[Mailing]) -> float | None:
        """The sum of those whose circuit is closed, in messages."""
        limits: list[float] = []
        for control in self._controls:
            if control.state().open:
                continue
            limit = control.limit(mailings)
            if limit is None:
                return None
            weights = [control.weight(mailing) for mailing in mailings] or [1]
            limits.append(limit * sum(1 / weight for weight in weights) / len(weights))
        return sum(limits) if limits else None

    def booked_until(self, mailing: Mailing) -> datetime | None:
        """That of the first: a mailing has its pace with all of them."""
        return self._controls[0].booked_until(mailing)
