"""The promises of docs/promises.md, checked from outside: against the gateway's own log and the ledger."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from chalicelib.domain.clients import Client
from chalicelib.domain.deliveries import DeliveryStatus, deliveries_of
from chalicelib.domain.mailings import Mailing, OnUnknown
from chalicelib.domain.messages import (
    LOOK_UPS,
    MAX_ATTEMPTS_KEPT,
    Message,
    Outcome,
    gateway_id_for,
    message_id_for,
    taken,
)
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.sent_texts import NoText, telling
from chalicelib.domain.sms import part_count
from tests.simulation.people import People, matches
from tests.support.scripted_gateway import GatewayCall
from tests.support.simulation import Simulation

PAUSE_WITHIN = timedelta(seconds=2)
PRICES = {False: Decimal(1), True: Decimal("2.5")}  # of a part, by whether the number is one of the dear ones
BUDGET_WITHIN = timedelta(seconds=60)  # what was set aside earlier may still be called for while its claim lasts
CHANGE_WITHIN = timedelta(seconds=1)  # of an opt-out, a time zone, a number, a rate
# Answers that say nothing of the message: they fail nobody.
NOT_OF_THE_MESSAGE = (401, 402, 403, 404, 407, 429)
SAME_REFUSALS = 20  # messages refused in a row with one answer, which were not meant

PERSONAL = " to {{phone_number}} and {{pet|nobody}}"
TEXT_WITHIN = timedelta(seconds=60)  # a text is made when the message is claimed


def text_of(text: str, phone_number: str, client: Client) -> str:
    """The text that a client gets from a mailing of the simulation, made in another way than by the service."""
    if not text.endswith(PERSONAL):
        return text
    return f"{text.removesuffix(PERSONAL)} to {phone_number} and {client.attributes.get('pet', 'nobody')}"


@dataclass(frozen=True)
class FileRow:
    """A row of a file that is for one mailing only: a number, and what the file says of it."""

    number: str
    zone: str
    pet: str


@dataclass(repr=False)
class Promised:
    """What the test knows of one mailing: who must get it and who may, and when it was stopped and let go on."""

    mailing: Mailing
    must: set[str] = field(default_factory=set)
    may: set[str] = field(default_factory=set)
    stopped: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    ends: list[tuple[datetime, datetime]] = field(default_factory=list)  # since when its end is when
    budgets: list[tuple[datetime, Decimal | None]] = field(default_factory=list)  # since when it may cost how much
    cost: Decimal = Decimal(0)  # of what the gateway took
    expanded: bool = False
    file: dict[str, FileRow] = field(default_factory=dict)  # by the ids of its rows, if it goes to a file
    told_to_repeat: bool = False  # somebody had what is unknown sent again

    def __repr__(self) -> str:
        return self.mailing.text

    def stop(self, now: datetime) -> None:
        self.stopped.append((now, None))

    def go_on(self, now: datetime) -> None:
        if self.stopped and self.stopped[-1][1] is None:
            self.stopped[-1] = (self.stopped[-1][0], now)

    def end_at(self, moment: datetime) -> datetime:
        """Its end as it was at a moment."""
        return [end for since, end in self.ends if since <= moment][-1]


@dataclass
class Witness:
    """Checks the promises after every step, reading only what is new in the gateway's log."""

    simulation: Simulation
    people: People = field(default_factory=People)
    skew: timedelta = timedelta(0)
    # When the rate of the gateway, or of a mailing (by id), was set to what; "" is the gateway's.
    rates: dict[str, list[tuple[datetime, int | None]]] = field(default_factory=lambda: defaultdict(list))
    mailings: dict[str, Promised] = field(default_factory=dict)
    _ids: dict[int, tuple[Promised, str]] = field(default_factory=dict)
    _read: int = 0
    _accepted: Counter[int] = field(default_factory=Counter)
    _accepted_by: dict[int, str] = field(default_factory=dict)
    _sent: set[tuple[str, str]] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)  # messages that the gateway has told of
    _arrived: set[tuple[str, str]] = field(default_factory=set)

    def expect(self, mailing: Mailing, file: dict[str, FileRow]) -> Promised:
        """Note a mailing, and everybody who matches it: in a file, if it is for one, whoever changes meanwhile."""
        created = mailing.created_at
        known = {"ends": [(created, mailing.end_at)], "budgets": [(created, mailing.budget)]}
        promised = Promised(mailing, file=file, **known)
        if file:
            promised.must, promised.may, promised.expanded = set(file), set(file), True
            self._name(promised)
        self.mailings[mailing.mailing_id] = promised
        self.rates[mailing.mailing_id].append((mailing.created_at, mailing.rate_limit))
        if not file:
            self._follow(promised)
        return promised

    def _follow(self, promised: Promised) -> None:
        """Until the launch it is everybody who matches."""
        state = self.simulation.services.mailings.state(promised.mailing.mailing_id)
        if state.mailing.launched_at is None:
            matching = self.people.matching(state.mailing.segment)
            promised.must, promised.may = set(matching), set(matching)
            self._name(promised)
        elif all(shard.expanded for shard in state.shards.values()):
            promised.expanded = True

    def _name(self, promised: Promised) -> None:
        for client_id in promised.may:
            gateway_id = gateway_id_for(message_id_for(promised.mailing.mailing_id, client_id))
            self._ids[gateway_id] = (promised, client_id)

    def begin_change(self, old: Client, new: Client) -> None:
        """Somebody is about to change. Who matches at the launch and for as long as rows are written must get a
        mailing; who matches at times, may."""
        for promised in self.mailings.values():
            if promised.expanded:
                continue
            before, after = (matches(client, promised.mailing.segment) for client in (old, new))
            if before or after:
                promised.may.add(old.client_id)
            if not (before and after):
                promised.must.discard(old.client_id)
            self._name(promised)

    def end_change(self, new: Client) -> None:
        """Somebody has changed."""
        self.people.note(new.client_id, new, self.simulation.clock.now())
        for promised in self.mailings.values():
            if not promised.expanded:
                self._follow(promised)

    # -- while it goes on

    def check_calls(self) -> None:
        """Promises 3 and 4: who was called when, how often, and never by two gateways that both accepted it."""
        assert not self.simulation.gateway.overlaps, "two senders called the gateway for one message at the same time"
        for call in self.simulation.gateway.log[self._read :]:
            promised, client_id = self._ids[call.gateway_id]  # a KeyError: somebody who did not match was called
            self._check_moment(call, promised)
            self._check_person(call, promised, client_id)
            if call.outcome is Outcome.ACCEPTED:
                self._accepted[call.gateway_id] += 1
                self._check_budget(call, promised)
                held = promised.mailing.on_unknown is not OnUnknown.RETRY and not promised.told_to_repeat
                assert self._accepted[call.gateway_id] == 1 or not held, (
                    "accepted twice, though nobody repeats it unasked"
                )
                by = self._accepted_by.setdefault(call.gateway_id, call.gateway)
                assert by == call.gateway, f"accepted by two gateways: {by!r} and {call.gateway!r}"
        self._read = len(self.simulation.gateway.log)

    def _check_moment(self, call: GatewayCall, promised: Promised) -> None:
        assert call.at >= promised.mailing.start_at - self.skew, "called before the start"
        assert call.at < promised.end_at(call.at) + self.skew, "called after the end of the window"
        for since, until in promised.stopped:
            late = call.at > since + PAUSE_WITHIN and (until is None or call.at < until)
            assert not late, f"called {call.at - since} after it was stopped"

    def _check_budget(self, call: GatewayCall, promised: Promised) -> None:
        """Promise 11: what the gateway took while the mailing had a budget costs no more than that.

        A budget that is lowered counts for what is set aside afterwards, within a second.
        """
        before = [budget for since, budget in promised.budgets if since <= call.at - BUDGET_WITHIN][-1:]
        lately = [budget for since, budget in promised.budgets if call.at - BUDGET_WITHIN < since <= call.at]
        allowed = [*before, *lately]
        if None in allowed:
            return
        promised.cost += PRICES[call.phone_number.startswith("+7926")] * part_count(call.text)
        assert promised.cost <= max(one for one in allowed if one is not None), (
            f"the gateway took messages for {promised.cost}, of a budget of {allowed}"
        )

    def _check_person(self, call: GatewayCall, promised: Promised, client_id: str) -> None:
        if promised.file:
            self._check_number(call, promised, promised.file[client_id])
            return
        versions = self.people.between(client_id, call.at - CHANGE_WITHIN, call.at)
        assert any(call.phone_number == one.phone_number for one in versions), "called at another number"
        known = self.people.between(client_id, call.at - TEXT_WITHIN, call.at)
        assert call.text in {text_of(promised.mailing.text, call.phone_number, one) for one in known}, "another text"
        assert not all(one.opted_out for one in versions), "called though they have opted out"
        hours = promised.mailing.local_window
        if hours:
            nearby = (call.at, call.at - self.skew, call.at + self.skew)
            allowed = any(hours.allows(at, one.timezone) for at in nearby for one in versions)
            assert allowed, f"called at a wrong hour: {[one.timezone for one in versions]}"

    def _check_number(self, call: GatewayCall, promised: Promised, row: FileRow) -> None:
        """The number and the values are the file's; who has the number now may have opted out."""
        assert call.phone_number == row.number, "called at another number"
        text = promised.mailing.text
        expected = f"{text.removesuffix(PERSONAL)} to {row.number} and {row.pet}" if text.endswith(PERSONAL) else text
        assert call.text == expected, "another text"
        owners = self.people.with_number(row.number, call.at - CHANGE_WITHIN, call.at)
        assert not all(one and one.opted_out for one in owners), "called though they have opted out"
        if hours := promised.mailing.local_window:
            zones = [row.zone] if row.zone else [one.timezone if one else "UTC" for one in owners]
            nearby = (call.at, call.at - self.skew, call.at + self.skew)
            allowed = any(hours.allows(at, zone) for at in nearby for zone in zones)
            assert allowed, f"called at a wrong hour: {zones}"

    def check_rows(self) -> None:
        """Promises 1 and 3, in the midst of everything: rows are of those who matched, sent means that the gateway took
        it, and what is sent stays so."""
        sent: set[tuple[str, str]] = set()
        for key, status in self.simulation.ledger_now().items():
            mailing_id, client_id = key
            assert client_id in self.mailings[mailing_id].may, "a row of somebody who did not match"
            if status == "sent":
                sent.add(key)
                assert gateway_id_for(message_id_for(*key)) in self._accepted, "sent, and the gateway did not take it"
        assert self._sent <= sent, f"was sent, and is not any more: {self._sent - sent}"
        self._sent = sent
        arrived = {row.key for row in self.simulation.ledger_rows().values() if row.delivery and row.delivery.delivered}
        assert self._arrived <= arrived, f"was delivered, and is not any more: {self._arrived - arrived}"
        assert arrived <= sent, "delivered, and not sent"
        self._arrived = arrived

    def check_rates(self) -> None:
        """Promise 5: no second sees more calls than the rate that was in force a second before."""
        by_mailing: dict[str, list[GatewayCall]] = defaultdict(list)
        for call in self.simulation.gateway.log:
            if not call.gateway:  # the rate that is set is that of the first
                by_mailing[""].append(call)
            by_mailing[self._ids[call.gateway_id][0].mailing.mailing_id].append(call)
        for name, changes in self.rates.items():
            moments = [call.at for call in by_mailing[name]]
            for place, at in enumerate(moments):
                in_force = [rate for since, rate in changes if since <= at - CHANGE_WITHIN][-1:]
                in_force += [rate for since, rate in changes if at - CHANGE_WITHIN < since <= at + timedelta(seconds=1)]
                if not in_force or None in in_force:
                    continue
                count = bisect_right(moments, at + timedelta(seconds=1) - timedelta(microseconds=1)) - place
                allowed = max(rate for rate in in_force if rate)
                told = [f"{one:%H:%M:%S.%f}" for one in moments[max(0, place - 3) : place + count + 3]]
                set_at = [(f"{since:%H:%M:%S.%f}", rate) for since, rate in changes]
                assert count <= allowed, f"{count} calls in a second of {name or 'all'}: {told}, set to {set_at}"

    def check_ledgers(self) -> None:
        """Promise 1: nobody has two rows, nobody a row who did not match, and the counts add up."""
        for promised in self.mailings.values():
            rows = self.simulation.rows(promised.mailing)
            clients = [row.client_id for row in rows]
            assert len(clients) == len(set(clients))
            assert set(clients) <= promised.may
            counts = self.simulation.services.mailings.state(promised.mailing.mailing_id).statistics.counts()
            assert counts["total"] == sum(count for name, count in counts.items() if name != "total")

    def check_ended(self) -> None:
        """Promises 1, 2, 3, 6 and 8, once nothing is left to do."""
        calls = self.simulation.gateway.calls()
        texts: defaultdict[int, list[str]] = defaultdict(list)
        for call in self.simulation.gateway.log:
            texts[call.gateway_id].append(call.text)
        for promised in self.mailings.values():
            mailing = self.simulation.services.mailings.get(promised.mailing.mailing_id)
            assert mailing.status in ("finished", "cancelled", "expired"), f"{mailing.status}: {self.story(promised)}"
            if mailing.launched_at is None:
                continue
            rows = self.simulation.rows(mailing)
            missing = promised.must - {row.client_id for row in rows}
            assert not missing, f"without a row: {missing}"
            for row in rows:
                self._check_row(row, calls[gateway_id_for(row.message_id)])
                self._check_text(row, texts[gateway_id_for(row.message_id)])
            recount = Counter(str(row.status) for row in rows)
            counted = self.simulation.services.mailings.state(mailing.mailing_id).statistics.counts()
            assert {name: count for name, count in counted.items() if count and name != "total"} == dict(recount)
            assert counted["total"] == len(rows)

    def _check_row(self, row: Message, calls: int) -> None:
        assert row.status.terminal, f"left {row.status}: {row}"
        outcomes = [attempt.outcome for attempt in row.attempts if attempt.outcome not in LOOK_UPS]
        found = [attempt.outcome for attempt in row.attempts[-1:]] == [Outcome.FOUND]
        assert calls <= len(outcomes) or len(outcomes) == MAX_ATTEMPTS_KEPT, (
            f"{calls} calls, {len(outcomes)} attempts: {row}"
        )
        assert outcomes.count(Outcome.ACCEPTED) <= 1
        assert Outcome.ACCEPTED not in outcomes[:-1], "called again after it was accepted"
        accepted = found or outcomes[-1:] == [Outcome.ACCEPTED]
        assert (row.status == "sent") == accepted or (row.status == "sent" and row.message_id in self._told)
        if taken(row.attempts) and row.status != "sent":
            assert row.status == "unknown", f"may have been sent, and is called {row.status}"
        if self._accepted[gateway_id_for(row.message_id)] > 1:
            assert row.may_be_twice, f"accepted twice, and not counted among those who may have got it twice: {row}"
        if row.status == "failed":
            assert row.attempts[-1].http_status not in NOT_OF_THE_MESSAGE, f"failed by an answer not meant: {row}"
        if not self.simulation.workers.crashes and len(outcomes) < MAX_ATTEMPTS_KEPT:
            tried = self.simulation.gateway.tried[gateway_id_for(row.message_id)]
            assert len(outcomes) <= tried, f"{len(outcomes)} attempts, of which {tried} were made: {row}"

    def _check_text(self, row: Message, given: list[str]) -> None:
        """What can be read afterwards is what the gateway was given."""
        text = self.simulation.services.messages.detail(row.message_id).text
        call = telling(row.attempts)
        if text is NoText.NOT_CALLED:
            assert not given, "called, and it is not known with what"
        elif text is NoText.SENDER_STOPPED:
            assert call is not None
            assert call.cause == Cause(Reason.SENDER_STOPPED)
        else:
            assert not isinstance(text, NoText), f"not known: {text}"
            if call and call.outcome is Outcome.ACCEPTED:
                assert text == given[-1], f"accepted with another text: {text!r} {given} {row}"
            elif call and call.outcome is Outcome.UNKNOWN and (given or call.cause != Cause(Reason.SENDER_STOPPED)):
                # A sender that stopped before its call gave the gateway nothing; its text is the only one there is.
                assert text in given, f"called with another text: {text!r} {given} {row}"

    def taken(self) -> list[Message]:
        """The messages that the gateway has accepted."""
        rows = self.simulation.ledger_rows().values()
        return [row for row in rows if self._accepted[gateway_id_for(row.message_id)]]

    def told(self, message_ids: Iterable[str]) -> None:
        """The gateway tells of these messages."""
        self._told |= set(message_ids)

    def check_deliveries(self, *, counted: bool) -> None:
        """Promise 10, once nothing is left to do: only what was told is there, and it is counted."""
        for promised in self.mailings.values():
            rows = self.simulation.rows(promised.mailing)
            assert {row.message_id for row in rows if row.delivery} <= self._told
            if not counted:
                continue
            state, counters = self.simulation.services.statistics.detail(promised.mailing.mailing_id)
            sent = sum(row.status == "sent" for row in rows)
            now = self.simulation.clock.now()
            found = deliveries_of(counters.by_name, state.statistics.by_status["sent"], counters.last_sent_at, now)
            assert sum(found.by_status.values()) == sent
            delivered = Counter(row.delivery.delivered for row in rows if row.delivery)
            assert (found.by_status[DeliveryStatus.DELIVERED], found.by_status[DeliveryStatus.UNDELIVERED]) == (
                delivered[True],
                delivered[False],
            )

    def check_dead_letters(self) -> None:
        """Promise 8: what is on the dead-letter queue was given up for good."""
        for message in self.simulation.queue(self.simulation.settings.send_dead_letter_queue):
            cause = Cause.parse(json.loads(message["body"])["reason"])
            assert cause is not None, message["body"]
            assert cause.reason is Reason.ATTEMPTS_USED_UP, message["body"]

    def story(self, promised: Promised) -> str:
        """What is known of a mailing, for the message of a failure."""
        rows = Counter(f"{row.status} {row.cause}" for row in self.simulation.rows(promised.mailing))
        state = self.simulation.services.mailings.state(promised.mailing.mailing_id)
        shards = [(s.shard, s.expanded, s.fed, s.rows) for s in state.shards.values() if not (s.expanded and s.fed)]
        return f"{state.mailing.status} {state.statistics.counts()} {dict(rows)} unfinished shards {shards}"
