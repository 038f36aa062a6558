"""The whole service under every fault at once, driven by Hypothesis: each step is one thing that happens."""

from __future__ import annotations

import random
from contextlib import ExitStack, suppress
from datetime import time, timedelta
from typing import Any
from unittest import mock

import hypothesis.strategies as st
from botocore.exceptions import ConnectionClosedError
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chalicelib.api.mailings import MailingPatch
from chalicelib.domain.clients import Client
from chalicelib.domain.errors import Conflict, Invalid, ServiceError
from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.domain.mailings import Mailing, OnUnknown
from chalicelib.domain.messages import Outcome
from chalicelib.gateways.base import Answer
from chalicelib.services import settling
from chalicelib.services.clients import ClientFields
from tests.simulation.promises import Promised, Witness
from tests.support.aws import Call
from tests.support.scheduler import Crash
from tests.support.world import World, new_world

ZONES = ("UTC", "Europe/Moscow", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
TAGS = ("vip", "new")
NO_FAULTS = {"lost": 0.0, "error": 0.0, "crash": 0.0, "twice": 0.0}
MANY = 200  # messages on a queue, which are not repeated any more
ANSWERS = {
    "ok": Answer(Outcome.ACCEPTED),
    "500": Answer(Outcome.FAILED, "HTTP 500", 500),
    "429": Answer(Outcome.FAILED, "HTTP 429", 429, retry_after=11),
    "refused": Answer(Outcome.REFUSED, "HTTP 400", 400),
    "hang": Answer(Outcome.UNKNOWN, "no answer in time"),
}


class ServiceMachine(RuleBasedStateMachine):
    """Steps are drawn by Hypothesis; which worker goes on at each I/O, and which call fails, from the seed."""

    @initialize(
        seed=st.integers(0, 2**32),
        clients=st.integers(10, 40),
        switching=st.sampled_from((1.0, 0.2, 0.0)),
        batch=st.sampled_from((1, 1, 2, 10)),
        twice=st.sampled_from((0.5, 0.0)),
        at_once=st.sampled_from((settling.AT_ONCE, 5)),
    )
    def begin(self, seed: int, clients: int, switching: float, batch: int, twice: float, at_once: int) -> None:
        self.stack = ExitStack()
        self.stack.enter_context(mock.patch.object(settling, "AT_ONCE", at_once))
        self.rng = random.Random(seed)
        self.world: World = self.stack.enter_context(
            new_world(seed, sender_batch=batch, max_attempts=4, circuit_threshold=6)
        )
        self.world.scheduler.switching = switching
        self.witness = Witness(self.world)
        self.witness.rates[""].append((self.world.clock.now(), None))
        self.faults = NO_FAULTS | {"twice": twice}
        self.world.aws.before = self._before
        self.world.aws.after = self._after
        self.answers: dict[str, float] = {"ok": 1.0}
        self.world.gateway.script = self._answer
        self.directory: dict[str, dict[str, Client]] = {tag: {} for tag in TAGS}
        for number in range(clients):
            tag = TAGS[number % 2]
            zone = self.rng.choice(ZONES)
            client = self.world.services.clients.create(ClientFields(f"+7916{number:07d}", None, tag, zone))
            self.directory[tag][client.client_id] = client
        self._order("vip", 0.0, 7200.0)

    # -- faults

    def _in_worker(self) -> bool:
        return self.world.scheduler.current is not None

    def _before(self, call: Call) -> None:
        self.world.scheduler.io_point()
        if self._in_worker():
            if self.rng.random() < self.faults["crash"]:
                raise Crash
            if self.rng.random() < self.faults["error"]:
                raise ConnectionClosedError(endpoint_url="fault")

    def _after(self, call: Call) -> None:
        if call.operation == "sqs.SendMessageBatch" and self.rng.random() < self.faults["twice"]:
            self._repeat("send")
            self._repeat("dispatch")
        if self._in_worker():
            if self.rng.random() < self.faults["lost"]:
                raise ConnectionClosedError(endpoint_url="answer lost")
            if self.rng.random() < self.faults["crash"]:
                raise Crash
        self.world.scheduler.io_point()

    def _answer(self, gateway_id: int, nth: int) -> Answer:
        if self.rng.random() < self.faults["crash"]:
            raise Crash
        names, weights = list(self.answers), list(self.answers.values())
        return ANSWERS[self.rng.choices(names, weights)[0]]

    # -- steps

    @rule(
        tag=st.sampled_from(TAGS),
        starts_in=st.sampled_from((0.0, 0.0, 0.0, 3.3, 70.0, 400.0)),
        lasts=st.sampled_from((20.0, 120.0, 900.0, 7200.0, 90000.0)),
        window=st.sampled_from((None, None, None, ("defer", 9, 18), ("skip", 9, 18), ("defer", 22, 5))),
        rate=st.sampled_from((None, None, None, 1, 7)),
        hold=st.booleans(),
    )
    def create_mailing(self, tag, starts_in, lasts, window, rate, hold) -> None:
        if len(self.witness.mailings) >= 6:
            return
        self._order(
            tag,
            starts_in,
            lasts,
            rate_limit=rate,
            on_unknown=OnUnknown.HOLD if hold else OnUnknown.RETRY,
            local_window=LocalWindow(time(window[1]), time(window[2]), WindowPolicy(window[0])) if window else None,
        )

    def _order(self, tag: str, starts_in: float, lasts: float, **fields: Any) -> None:
        text = f"{tag} {len(self.witness.mailings)}"
        mailing = self.world.create_mailing(tag=tag, text=text, starts_in=starts_in, lasts=lasts, **fields)
        self.witness.expect(mailing, list(self.directory[tag].values()))
        self.witness.rates[mailing.mailing_id].append((mailing.created_at, mailing.rate_limit))

    def _some(self, data: st.DataObject) -> Promised:
        return data.draw(st.sampled_from(list(self.witness.mailings.values())))

    @precondition(lambda self: self.witness.mailings)
    @rule(data=st.data(), step=st.sampled_from(("pause", "resume", "cancel", "retry", "launch")))
    def steer(self, data, step) -> None:
        promised = self._some(data)
        mailing_id = promised.mailing.mailing_id
        mailings = self.world.services.mailings
        now = self.world.clock.now()
        try:
            if step == "pause":
                mailings.pause(mailing_id)
                promised.stop(now)
            elif step == "resume":
                mailings.resume(mailing_id)
                promised.go_on(now)
            elif step == "cancel":
                mailings.cancel(mailing_id)
                promised.stop(now)
            elif step == "launch":
                promised.mailing = mailings.launch(mailing_id)
            else:
                mailings.retry_failed(mailing_id, unknown=data.draw(st.booleans()))
        except Conflict:
            pass

    @precondition(lambda self: self.witness.mailings)
    @rule(data=st.data(), seconds=st.sampled_from((5.0, 65.0, 600.0, 7200.0, 90000.0)))
    def move_end(self, data, seconds) -> None:
        """To so long from now: earlier or later, before it begins, while it runs or is paused, and once it is over."""
        promised = self._some(data)
        end_time = (self.world.clock.now() + timedelta(seconds=seconds)).isoformat()
        change = MailingPatch.model_validate({"end_time": end_time})
        with suppress(Conflict, Invalid):
            promised.mailing = self.world.services.mailings.revise(promised.mailing.mailing_id, change.over)

    @precondition(lambda self: self.witness.mailings)
    @rule(data=st.data(), rate=st.sampled_from((None, 1, 3, 20)))
    def set_rate_of_mailing(self, data, rate) -> None:
        promised = self._some(data)
        try:
            self.world.services.mailings.set_rate(promised.mailing.mailing_id, rate)
        except Conflict:
            return
        self.witness.rates[promised.mailing.mailing_id].append((self.world.clock.now(), rate))

    @rule(rate=st.sampled_from((None, 2, 10)))
    def set_rate_of_gateway(self, rate) -> None:
        self.world.services.gateway_control.set_rate(rate, "tester")
        self.witness.rates[""].append((self.world.clock.now(), rate))

    @rule(data=st.data(), tag=st.sampled_from(TAGS))
    def opt_out(self, data, tag) -> None:
        if not self.directory[tag]:
            return
        client = self.directory[tag][data.draw(st.sampled_from(list(self.directory[tag])))]
        fields = ClientFields(client.phone_number, client.operator, client.tag, client.timezone, opted_out=True)
        self.world.services.clients.change(client.client_id, fields)

    @rule(
        answers=st.sampled_from(
            (
                {"ok": 1.0},
                {"500": 1.0},
                {"hang": 1.0},
                {"ok": 0.8, "500": 0.1, "hang": 0.1},
                {"ok": 0.5, "refused": 0.2, "429": 0.3},
            )
        )
    )
    def the_gateway_changes(self, answers) -> None:
        self.answers = answers

    @rule(
        lost=st.sampled_from((0.0, 0.0, 0.02)),
        error=st.sampled_from((0.0, 0.0, 0.05)),
        crash=st.sampled_from((0.0, 0.0, 0.01)),
        twice=st.sampled_from((0.0, 0.0, 0.5)),
    )
    def the_cloud_changes(self, lost, error, crash, twice) -> None:
        self.faults = {"lost": lost, "error": error, "crash": crash, "twice": twice}

    @rule(kind=st.sampled_from(("lose", "repeat", "shuffle", "delay")), queue=st.sampled_from(("send", "dispatch")))
    def the_queue_misbehaves(self, kind, queue) -> None:
        messages = self._messages(queue)
        if kind == "lose":
            messages[:] = [message for message in messages if self.rng.random() < 0.7]
        elif kind == "repeat":
            self._repeat(queue)
        elif kind == "shuffle":
            self.rng.shuffle(messages)
        else:
            for message in messages:
                message["visible_at"] += self.rng.choice((0, 0, 1, 30))
        self.world.scheduler.wake_idle()

    def _messages(self, queue: str) -> list[dict[str, Any]]:
        return self.world.queue(f"{self.world.settings.resource_prefix}-{queue}")

    def _repeat(self, queue: str) -> None:
        """Let some messages come twice, beside each other, where two workers meet."""
        messages = self._messages(queue)
        if len(messages) < MANY:
            messages[:] = [
                twin
                for message in messages
                for twin in (message, message | {"id": f"copy-{self.rng.random()}", "receipt_handle": None})
                if twin is message or self.rng.random() < 0.3
            ]

    @rule(seconds=st.sampled_from((0.05, 0.2, 1.0, 2.0)))
    def a_moment_passes(self, seconds) -> None:
        self.world.run_for(seconds)

    @rule(seconds=st.sampled_from((2.0, 5.0, 20.0, 61.0, 400.0)))
    def time_passes(self, seconds) -> None:
        self.world.run_for(seconds)

    @invariant()
    def the_promises_hold(self) -> None:
        self.witness.check_calls()
        self.witness.check_rows()

    # -- the end

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.witness.check_ledgers()
            self._heal()
            self._let_all_end()
            self.witness.check_calls()
            self.witness.check_rates()
            self.witness.check_ledgers()
            self.witness.check_ended()
            self.witness.check_dead_letters()
        finally:
            self.stack.close()

    def _heal(self) -> None:
        """Everything works again; what was paused goes on."""
        self.faults = dict(NO_FAULTS)
        self.answers = {"ok": 1.0}
        for promised in self.witness.mailings.values():
            try:
                self.world.services.mailings.resume(promised.mailing.mailing_id)
                promised.go_on(self.world.clock.now())
            except ServiceError:
                pass

    @staticmethod
    def _is_over(mailing: Mailing) -> bool:
        status = mailing.status
        return status == "expired" or bool(mailing.final) or (status == "cancelled" and not mailing.launched_at)

    def _let_all_end(self) -> None:
        """Nobody helps: the tick alone has to find and mend what is broken, until every window has closed."""
        going = list(self.witness.mailings)
        last = max(
            (promised.mailing.end_at for promised in self.witness.mailings.values()), default=self.world.clock.now()
        )
        limit = max(last, self.world.clock.now()) + timedelta(minutes=15)

        def ended() -> bool:
            while going and self._is_over(self.world.services.mailings.get(going[-1])):
                going.pop()
            return not going

        if not self.world.scheduler.run_until(self.world.clock.now() + timedelta(minutes=20), ended, check=500):
            self.world.workers.tick_after = 600.0
            self.world.scheduler.run_until(limit + timedelta(minutes=30), ended, check=500)
            self.world.workers.tick_after = 0.001
        self.world.run_for(30)
