"""The gateways: one, or several, each with its own circuit and paces, and which of them a message goes to."""

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
    """How much may be fed, for one gateway or for several together."""

    def state(self, since: datetime | None = None) -> GatewayControl:
        """The control, at most a second old, or as it was at `since` or later."""
        ...

    def controls(self) -> list[GatewayControl]:
        """The control of each gateway."""
        ...

    def weight(self, mailing: Mailing) -> int:
        """How much each message of a mailing counts against the rate."""
        ...

    def limit(self, mailings: Sequence[Mailing]) -> float | None:
        """What may be sent a second, counted in weights, if these mailings get equal shares; None without a limit."""
        ...

    def booked_until(self, mailing: Mailing) -> datetime | None:
        """The moment up to which a mailing's own pace is booked, if it has one and no gateway does."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """A gateway with its own circuit and paces. `name` is the one in rows.

    `concurrency` is how many calls a sender may make to it at the same time, 0 for GATEWAY_CONCURRENCY.
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
        """The gateway with this name for people, or the first one if `name` is None.

        Raises Invalid if there is none.
        """
        if name is None:
            return self.first
        if internal(name) not in self.lines:
            raise Invalid.of(field, Fault.NOT_A_CHOICE, allowed=" / ".join(self.names))
        return self.lines[internal(name)]

    def chosen(self, name: str | None) -> list[Line]:
        """The gateway with this name, or all if it is None. Raises Invalid if there is none."""
        return list(self) if name is None else [self.named(name)]

    @property
    def by_name(self) -> dict[str, Gateway]:
        """The gateways by their names for people."""
        return {shown(name): line.gateway for name, line in self.lines.items()}

    @property
    def names(self) -> list[str]:
        """Their names for people."""
        return [shown(name) for name in self.lines]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The names as options of a form: the value and what is shown."""
        return [(name, name) for name in self.names]

    def choices(self, message: Message, mailing: Mailing, attempts: Sequence[Attempt]) -> tuple[str, ...]:
        """The gateways that may get a message after these attempts, in the order in which to try them.

        If one may have taken it already, or the mailing names one, that is the only one, even if it is down. The list
        is empty if that one is not configured any more.
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
        """The gateways for a mailing's messages to a number while all are up, with their weights."""
        if mailing.gateway or not self.several:
            return ((internal(mailing.gateway or shown(self.first.name)), 1),)
        return self._routes.weights(phone_number)

    def of(self, message: Message, mailing: Mailing) -> Gateway:
        """The gateway that a message last went to, or will go to."""
        names = [attempt.gateway for attempt in reversed(message.attempts)]
        names += self.choices(message, mailing, message.attempts)
        return self.lines.get(next(iter(names), self.first.name), self.first).gateway

    def stops_known(self, mailing: Mailing) -> Sequence[Span]:
        """The latest spans in which a running mailing could send nothing, without reading the gateways' changes.

        With several gateways these are the spans in which none was open to it.
        """
        if mailing.status is not MailingStatus.RUNNING:
            return ()
        return common([known_stops(line.control.state()) for line in self._open_to(mailing)])

    def stops_between(self, mailing: Mailing, since: datetime, until: datetime) -> Sequence[Span]:
        """The spans between two moments in which a mailing could send nothing."""
        return common([line.control.stops_between(since, until) for line in self._open_to(mailing)])

    def _open_to(self, mailing: Mailing) -> list[Line]:
        """The gateways that messages of a mailing may go to."""
        if not mailing.gateway:
            return list(self)
        return [line for line in self if line.name == internal(mailing.gateway)]

    def capabilities(self, name: str = "") -> Capabilities:
        """The capabilities of the gateway with this name; without a name, those that all gateways have."""
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
        """A control that is closed, with the rate of all closed ones; if all are open, the one that is probed first."""
        states = [control.state(since) for control in self._controls]
        closed = [state for state in states if not state.open]
        if closed:
            rates = [state.rate for state in closed if state.rate]
            return replace(closed[0], rate=sum(rates) if len(rates) == len(closed) else None, slowed_at=None)
        tried = [state for state in states if not state.held and state.retry_at]
        return min(tried, key=lambda state: str(state.retry_at), default=states[0])

    def weight(self, mailing: Mailing) -> int:
        """Always 1: together they count messages."""
        del mailing
        return 1

    def limit(self, mailings: Sequence[Mailing]) -> float | None:
        """The sum of the gateways whose circuits are closed, in messages."""
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
        """The first gateway's: all of them keep the mailing's pace."""
        return self._controls[0].booked_until(mailing)
