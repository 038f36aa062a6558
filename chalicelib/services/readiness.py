"""Readiness: a quick check that everything that the service needs answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cached_property

from ..clock import SystemClock
from ..domain import heartbeats
from ..domain.errors import NotReady, Unavailable
from ..domain.gateway_control import GatewayControl
from ..queues import Queue
from ..storage.readiness import TableProbe

BOUND = timedelta(seconds=3)  # after which nothing more is checked; a call that hangs adds two seconds


class ReadinessService:
    """Asks the tables and every queue. Its clients are made at the first use."""

    def __init__(
        self, probe: Callable[[], TableProbe], queues: Callable[[], Sequence[Queue]], clock: SystemClock
    ) -> None:
        self._make_probe = probe
        self._make_queues = queues
        self._clock = clock
        self.more: list[Callable[[], str]] = []  # of the environment: each returns what is wrong, or ""

    @cached_property
    def _probe(self) -> TableProbe:
        return self._make_probe()

    @cached_property
    def _queues(self) -> Sequence[Queue]:
        return self._make_queues()

    def check(self) -> GatewayControl:
        """Returns the gateway's control.

        Raises NotReady with every part that does not answer, or was not checked in time.

        A worker that has been silent for too long counts as one of these parts.
        """
        began = self._clock.now()
        until = began + BOUND
        control = GatewayControl()
        silent: list[str] = []
        try:
            control, beats = self._probe.ask()
            for beat in heartbeats.silent(beats, began):
                seen = f"last seen {beat.at:%Y-%m-%d %H:%M:%S} UTC" if beat.at else "never seen"
                silent.append(f"{beat.worker}, {seen}")
        except NotReady as error:
            silent += error.parts
        except Unavailable:
            silent.append("tables")
        for queue in self._queues:
            try:
                if self._clock.now() >= until:
                    raise Unavailable("time is up")
                queue.depths()
            except Unavailable:
                silent.append(f"queue {queue.name}")
        silent += [wrong for look in self.more if (wrong := look())]
        if silent:
            raise NotReady(*silent)
        return control
