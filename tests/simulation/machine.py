"""The whole service under every fault at once, driven by Hypothesis: each step is one thing that happens."""

from __future__ import annotations

import os
import random
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal
from itertools import count as counting
from typing import Any
from unittest import mock

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chalicelib.api.mailings import MailingPatch
from chalicelib.domain import buckets
from chalicelib.domain.attributes import attributes_of
from chalicelib.domain.clients import Client, ClientFields
from chalicelib.domain.errors import Conflict, Invalid, Unavailable
from chalicelib.domain.imports import ImportOptions
from chalicelib.domain.local_window import LocalWindow, WindowPolicy
from chalicelib.domain.mailings import OnUnknown
from chalicelib.domain.segments import Segment
from chalicelib.services.dispatching import completion, expansion
from chalicelib.services.receiving import replies
from tests.simulation.ending import go_on, let_all_end
from tests.simulation.promises import PERSONAL, FileRow, Promised, Witness
from tests.simulation.replies import MOST_IN_A_FLOOD, People
from tests.simulation.trouble import (
    ACCOUNT,
    ANSWERS,
    BEYOND_IT,
    NEAR_THE_LIMIT,
    PEOPLE,
    QUICK,
    SCARCE,
    Trouble,
    answer_to,
)
from tests.support.receipts import delivered, tell, undelivered
from tests.support.simulation import Simulation, new_simulation

ZONES = ("UTC", "Europe/Moscow", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
TAGS = ("vip", "new", "old")
OPERATORS = ("916", "903")
SEGMENTS = {
    "vip": Segment(("vip",)),
    "new": Segment(("new",)),
    "both": Segment(("vip", "new")),
    "two tags of an operator": Segment(("new", "vip"), ("903",)),
    "operator": Segment((), ("916",)),
    "tag of operators": Segment(("new",), ("916", "903")),
    "a dog": Segment.checked((), (), {"attribute": "pet", "begins_with": "dog"}),
    "no pet": Segment.checked(("new", "vip"), (), {"attribute": "pet", "exists": False}),
    "no vip of two zones": Segment.checked(
        (), ("916",), {"all": [{"not": {"tag": "vip"}}, {"timezone": ["UTC", "Asia/Kolkata"]}]}
    ),
}
A_FILE = "a file"  # of numbers, for one mailing only
# Seconds until what a killed receiver had is shown again, and its mailings are counted anew.
RECEIPTS_SETTLED = 1200
SENDERS = int(os.environ.get("SENDERS", "2"))


class ServiceMachine(RuleBasedStateMachine):
    """Hypothesis draws the steps; the seed decides which worker goes on at each I/O, and which call fails."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.stack = ExitStack()
        self.rng = rng = random.Random(seed)
        self.recognises = rng.random() < 0.5
        self.several = rng.random() < 0.5
        self.receipts = rng.random() < 0.5
        self.lost = False  # units of work, which SQS does not lose; a count of receipts is such a unit
        workers = {"tick": 1, "dispatcher": max(3, SENDERS // 5), "sender": SENDERS, "receiver": int(self.receipts)}
        self.simulation: Simulation = self.stack.enter_context(
            new_simulation(
                seed,
                workers,
                sender_batch=rng.choice((1, 1, 2, 10)),
                threads=rng.random() < 0.5,
                killed_in_time=True,
                max_attempts=4,
                circuit_threshold=6,
                gateway_connect_timeout=0.2,
                gateway_read_timeout=2.0,
                gateway_recognises_ids=self.recognises,
                can_be_asked=True,
                several=self.several,
                gateway_receipts=self.receipts,
                public_url="https://service.example" if self.receipts else "",
            )
        )
        if rng.random() < 0.5:
            self.stack.enter_context(mock.patch.multiple(expansion, FIRST_PAGE=1, PAGE=2))
        self.stack.enter_context(mock.patch.object(buckets, "SMALL", rng.choice((0, 5, buckets.SMALL))))
        if rng.random() < 0.5:
            self.stack.enter_context(mock.patch.object(completion, "AT_ONCE", 5))
        self.simulation.scheduler.switching = rng.choice((1.0, 0.2, 0.0))
        self.simulation.gateway.recognises_ids = self.recognises
        if self.simulation.other:
            self.simulation.other.recognises_ids = self.recognises
        self.trouble = Trouble(self.simulation, rng)
        self.trouble.aws_takes = rng.choice((0.0, 0.005, 0.02))
        self.trouble.faults["twice"] = rng.choice((0.5, 0.0))
        self.trouble.install()
        self.trouble.tables(rng.choice(tuple(SCARCE.values())), conflicts=False, unprocessed=0.0)
        self.simulation.services.prices().put({0: ("7", "1", "RUB", ""), 1: ("7926", "2.5", "RUB", "")}, "tester")
        if rng.random() < 0.3:  # it is never reached, and set aside and given back all the same
            self.simulation.services.gateway_control.set_month_budget(Decimal(10**6), "tester")
        self.witness = Witness(self.simulation)
        self.witness.rates[""].append((self.simulation.clock.now(), None))
        self.people = People(self.simulation, rng, floods=rng.random() < 0.3)
        if self.people.floods:
            self.stack.enter_context(mock.patch.object(replies, "MOST_A_MINUTE", MOST_IN_A_FLOOD))
        self.changing: set[str] = set()
        self.numbers = counting()
        self._add_people(rng.randint(8, 24) * max(1, SENDERS // 5))
        for segment, starts_in in (("both", 0.0), (rng.choice((*SEGMENTS, A_FILE, A_FILE, A_FILE)), 3.3)):
            on_unknown = rng.choice(tuple(OnUnknown))
            self._order(segment, starts_in, rng.choice((900.0, 7200.0)), on_unknown=on_unknown)

    def _add_people(self, count: int) -> None:
        for number in range(count):
            zone, operator = self.rng.choice(ZONES), self.rng.choice(OPERATORS)
            pet = {"pet": f"{{{{cat}}}} {number}"} if number % 3 else {}
            fields = ClientFields(f"+7916{number:07d}", operator, self._some_tags(), zone, attributes=pet)
            client = self.simulation.services.clients.create(fields)
            self.witness.people.note(client.client_id, client, self.simulation.clock.now())

    # -- steps

    @rule(
        segment=st.sampled_from((*SEGMENTS, A_FILE)),
        starts_in=st.sampled_from((0.0, 0.0, 0.0, 3.3, 70.0, 400.0)),
        lasts=st.sampled_from((20.0, 120.0, 900.0, 7200.0, 90000.0)),
        window=st.sampled_from((None, None, None, ("defer", 9, 18), ("skip", 9, 18), ("defer", 22, 5))),
        rate=st.sampled_from((None, None, None, 1, 7)),
        on_unknown=st.sampled_from(tuple(OnUnknown)),
    )
    def create_mailing(self, segment, starts_in, lasts, window, rate, on_unknown) -> None:
        if len(self.witness.mailings) >= 6:
            return
        self._order(
            segment,
            starts_in,
            lasts,
            rate_limit=rate,
            on_unknown=on_unknown,
            local_window=LocalWindow(time(window[1]), time(window[2]), WindowPolicy(window[0])) if window else None,
        )

    def _order(self, segment: str, starts_in: float, lasts: float, **fields: Any) -> None:
        text = f"{segment} {len(self.witness.mailings)}" + self.rng.choice(("", "", PERSONAL))
        if self.several:
            fields["gateway"] = self.rng.choice(("", "", "", "default", "other"))
        budget = self.rng.choice((None, None, Decimal(self.rng.randint(1, 40)) / 2))
        window = {"starts_in": starts_in, "lasts": lasts, "budget": budget}
        whom, file = self._file() if segment == A_FILE else (SEGMENTS[segment], {})
        try:
            mailing = self.simulation.create_mailing(text=text, segment=whom, **window, **fields)
        except Invalid:  # nobody matches, and it would start now
            return
        self.witness.expect(mailing, file)

    def _file(self) -> tuple[Segment, dict[str, FileRow]]:
        """Numbers of clients, of nobody, and some that clients get later."""
        numbers = {client.phone_number for client in self._some_people(8)} | {f"+7926{n:07d}" for n in range(6)}
        rows = [
            FileRow(number, self.rng.choice(("", *ZONES)), f"{{{{cow}}}} {place}")
            for place, number in enumerate(sorted(numbers))
        ]
        text = "phone_number,timezone,pet\n" + "".join(f"{row.number},{row.zone},{row.pet}\n" for row in rows)
        imports = self.simulation.services.imports
        started = imports.start(text, "tester", ImportOptions(for_mailing=True))
        imports.carry_out(started.import_id, 0, self.simulation.clock.now() + timedelta(minutes=5))
        id_of = self.simulation.services.clients._clients.usual_id
        return Segment(recipients=started.import_id), {id_of(row.number): row for row in rows}

    def _some(self, data: st.DataObject) -> Promised:
        return data.draw(st.sampled_from(list(self.witness.mailings.values())))

    @precondition(lambda self: self.witness.mailings)
    @rule(data=st.data(), step=st.sampled_from(("pause", "resume", "resume", "launch", "retry", "retry", "cancel")))
    def steer(self, data, step) -> None:
        promised = self._some(data)
        mailing_id = promised.mailing.mailing_id
        actions = self.simulation.services.mailing_actions
        now = self.simulation.clock.now()
        try:
            if step == "pause":
                actions.pause(mailing_id)
                promised.stop(now)
            elif step == "resume":
                actions.resume(mailing_id)
                promised.go_on(now)
            elif step == "cancel":
                actions.cancel(mailing_id)
                promised.stop(now)
            elif step == "launch":
                promised.mailing = actions.launch(mailing_id)
            else:
                unknown = data.draw(st.booleans())
                actions.retry_failed(mailing_id, unknown=unknown)
                promised.told_to_repeat |= unknown
        except Conflict:
            pass

    @precondition(lambda self: self.witness.mailings)
    @rule(data=st.data(), rate=st.sampled_from((None, 1, 3, 20)))
    def set_rate_of_mailing(self, data, rate) -> None:
        promised = self._some(data)
        try:
            self.simulation.set_rate(promised.mailing, rate)
        except (Conflict, Invalid):
            return
        self.witness.rates[promised.mailing.mailing_id].append((self.simulation.clock.now(), rate))

    @rule(rate=st.sampled_from((None, 2, 10)))
    def set_rate_of_gateway(self, rate) -> None:
        self.simulation.services.gateway_control.set_rate(rate, "tester")
        self.witness.rates[""].append((self.simulation.clock.now(), rate))

    @precondition(lambda self: self.witness.mailings)
    @rule(data=st.data(), seconds=st.sampled_from((5.0, 65.0, 600.0, 7200.0, 90000.0)))
    def move_end(self, data, seconds) -> None:
        """Move the end to so long from now: earlier or later, before the start, while it runs or is paused, and once
        it is over."""
        promised = self._some(data)
        end_time = (self.simulation.clock.now() + timedelta(seconds=seconds)).isoformat()
        change = MailingPatch.model_validate({"end_time": end_time})
        with suppress(Conflict, Invalid):
            promised.mailing = self.simulation.services.mailings.revise(promised.mailing.mailing_id, change.over)
            promised.ends.append((self.simulation.clock.now(), promised.mailing.end_at))

    @precondition(lambda self: self.witness.mailings)
    @rule(data=st.data(), budget=st.sampled_from((None, "2", "10", "100")))
    def change_budget(self, data, budget) -> None:
        promised = self._some(data)
        change = MailingPatch.model_validate({"budget": budget})
        with suppress(Conflict, Invalid):  # its end may have passed
            new = self.simulation.services.mailings.revise(promised.mailing.mailing_id, change.over)
            promised.budgets.append((self.simulation.clock.now(), new.budget))

    # -- people

    @rule(
        how=st.sampled_from(("tag", "operator", "zone", "number", "pet", "opted out", "opted in")),
        many=st.sampled_from((1, 1, 5, 20)),
    )
    def people_change(self, how, many) -> None:
        for client in self._some_people(many):
            self._change(client, how)

    @rule(how=st.sampled_from(("tag", "tag", "operator", "zone", "number", "number", "pet", "opted out", "opted in")))
    def people_keep_changing(self, how) -> None:
        """Change one client after the other, each at any point of the workers' own steps."""

        def change() -> None:
            for client in self._some_people(8):
                self._change(client, how)

        self.simulation.scheduler.spawn(f"{PEOPLE} {how}", change)

    def _some_tags(self) -> tuple[str, ...]:
        return tuple(self.rng.sample(TAGS, self.rng.choice((1, 1, 2, 3))))

    def _some_people(self, many: int) -> list[Client]:
        everybody = self.witness.people.now()
        return self.rng.sample(everybody, min(many, len(everybody)))

    def _change(self, old: Client, how: str) -> None:
        old = self.witness.people.latest(old.client_id)
        fields = old.fields
        changes: dict[str, dict[str, Any]] = {
            "tag": {"tags": self._some_tags()},
            "operator": {"operator": self.rng.choice(OPERATORS)},
            "zone": {"timezone": self.rng.choice(ZONES)},
            "number": {"phone_number": f"+7926{next(self.numbers):07d}"},
            "pet": {"attributes": {"pet": f"dog {next(self.numbers)}"}},
            "opted out": {"opted_out": True},
            "opted in": {"opted_out": False},
        }
        if old.client_id in self.changing:  # by another task
            return
        self.changing.add(old.client_id)
        new = replace(fields, **changes[how])
        asked = {name: getattr(new, name) for name in ("tags", "operator", "timezone")}
        self.witness.begin_change(old, replace(old, **asked, attributes=attributes_of(new.attributes)))
        self.witness.end_change(self.simulation.services.clients.change(old.client_id, new))
        self.changing.remove(old.client_id)

    # -- trouble

    @rule(
        answers=st.sampled_from(
            (
                {"ok": 1.0},
                {"500": 1.0},
                {"hang": 1.0},
                {"ok": 0.8, "500": 0.1, "hang": 0.1},
                {"ok": 0.5, "refused": 0.2, "429": 0.2, "429 later": 0.1},
            )
        )
    )
    def the_gateway_changes(self, answers) -> None:
        self.trouble.answers = answers

    @rule(
        latency=st.sampled_from((QUICK, QUICK, NEAR_THE_LIMIT, BEYOND_IT)),
        connecting=st.sampled_from(((0.0, 0.0), (0.0, 0.0), (0.05, 0.25))),
        capacity=st.sampled_from((None, None, 5)),
    )
    def the_gateway_is_slow(self, latency, connecting, capacity) -> None:
        self.trouble.latency, self.trouble.connecting = latency, connecting
        self.simulation.gateway.capacity = capacity
        self.simulation.gateway.over_capacity = ANSWERS[self.rng.choice(("429", "429 later"))]

    @rule(status=st.sampled_from((None, None, None, *ACCOUNT, 400)))
    def the_gateway_answers_everybody_alike(self, status) -> None:
        self.simulation.gateway.everybody = status and answer_to(status)

    @precondition(lambda self: self.several)
    @rule(which=st.sampled_from(("gateway", "other")), how=st.sampled_from(("up", "up", "down", "500", "hang", "402")))
    def one_of_the_gateways_goes_down(self, which, how) -> None:
        one = getattr(self.simulation, which)
        one.down = how == "down"
        one.everybody = None if how in ("up", "down") else ANSWERS.get(how) or answer_to(int(how))

    @precondition(lambda self: self.receipts and self.simulation.gateway.log)
    @rule(
        what=st.sampled_from(("delivered", "delivered", "undelivered", "permanent", "pending", "forged", "unreadable")),
        many=st.sampled_from((1, 3, 20)),
    )
    def the_gateway_tells(self, what, many) -> None:
        """Send receipts for some of the accepted messages; or somebody who knows the address sends others."""
        with suppress(Unavailable):
            if what == "forged":
                rows = list(self.simulation.ledger_rows().values())
                some = self.rng.sample(rows, min(many, len(rows)))
                tell(self.simulation, *(delivered(row, phone="+79999999999") for row in some))
                tell(self.simulation, {"message_id": "nobody's", "status": "delivered"})
                return
            if what == "unreadable":
                tell(self.simulation, {"status": "?"})
                return
            taken = self.witness.taken()
            some = self.rng.sample(taken, min(many, len(taken)))
            self.witness.told(row.message_id for row in some)
            if what == "permanent":
                tell(self.simulation, *(undelivered(row, permanent=True, reason="number_invalid") for row in some))
            else:
                tell(self.simulation, *({**delivered(row), "status": what} for row in some))

    @precondition(lambda self: self.receipts and self.simulation.gateway.log)
    @rule(
        how=st.sampled_from(("answer", "answer", "again", "stranger", "forged", "flood")),
        many=st.sampled_from((1, 3, 20)),
    )
    def people_write_back(self, how, many) -> None:
        taken = self.witness.taken()
        some = self.rng.sample(taken, min(many, len(taken)))
        if how == "answer":
            self.people.write(some)
        elif how == "again":
            self.people.tell_again()
        elif how == "stranger":
            self.people.write_as_a_stranger(some)
        elif how == "forged":
            self.people.forge(some)
        elif self.people.floods:
            self.people.flood()

    @rule(
        lost=st.sampled_from((0.0, 0.02)),
        error=st.sampled_from((0.0, 0.05)),
        crash=st.sampled_from((0.0, 0.0, 0.01)),
        slow=st.sampled_from((0.0, 0.0, 0.2)),
        twice=st.sampled_from((0.0, 0.0, 0.5)),
    )
    def the_cloud_changes(self, **faults) -> None:
        self.trouble.faults = faults

    @rule(
        capacity=st.sampled_from(tuple(SCARCE)),
        conflicts=st.booleans(),
        unprocessed=st.sampled_from((0.0, 0.0, 0.2)),
    )
    def the_tables_change(self, capacity, conflicts, unprocessed) -> None:
        self.trouble.tables(SCARCE[capacity], conflicts=conflicts, unprocessed=unprocessed)

    @rule(
        kind=st.sampled_from(("lose", "repeat", "shuffle", "delay")),
        queue=st.sampled_from(("send", "dispatch", "receipts")),
    )
    def the_queue_misbehaves(self, kind, queue) -> None:
        if (kind, queue) == ("lose", "receipts"):
            return
        self.lost |= (kind, queue) == ("lose", "dispatch")
        getattr(self.trouble, kind)(queue)
        self.simulation.scheduler.wake_idle()

    # -- time

    @rule(seconds=st.sampled_from((0.05, 0.2, 1.0, 2.0)))
    def a_moment_passes(self, seconds) -> None:
        self.simulation.run_for(seconds)

    @rule(seconds=st.sampled_from((2.0, 5.0, 20.0, 61.0, 400.0)))
    def time_passes(self, seconds) -> None:
        self.simulation.run_for(seconds)

    @rule(seconds=st.sampled_from((1.0, 3.0, 30.0)))
    def time_goes_on(self, seconds) -> None:
        self.simulation.run_for(seconds)

    @invariant()
    def the_promises_hold(self) -> None:
        self.witness.check_calls()
        self.witness.check_rows()

    # -- the end

    def teardown(self) -> None:
        if not hasattr(self, "simulation"):
            return
        try:
            self.witness.check_ledgers()
            self.trouble.heal()
            go_on(self.witness)
            let_all_end(self.witness)
            if self.receipts:
                self.simulation.run_for(RECEIPTS_SETTLED)
            self.witness.check_calls()
            self.witness.check_rates()
            self.witness.check_ledgers()
            self.witness.check_ended()
            self.witness.check_dead_letters()
            self.witness.check_deliveries(counted=not self.lost)
            if self.receipts:
                self.people.check()
        finally:
            self.stack.close()
