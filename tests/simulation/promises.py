"""The promises of docs/promises.md, checked from outside: against the gateway's own log and the ledger."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chalicelib.domain.clients import Client
from chalicelib.domain.mailings import Mailing
from chalicelib.domain.messages import MAX_ATTEMPTS_KEPT, USED_UP, Message, Outcome, gateway_id_for, message_id_for
from tests.support.scripted_gateway import GatewayCall
from tests.support.world import World

PAUSE_WITHIN = timedelta(seconds=2)


@dataclass(repr=False)
class Promised:
    """What the test knows of one mailing: who must get it, and when it was stopped and let go on."""

    mailing: Mailing
    clients: dict[str, Client]
    stopped: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    ends_at: datetime | None = None

    def __repr__(self) -> str:
        return self.mailing.text

    def stop(self, now: datetime) -> None:
        self.stopped.append((now, None))

    def go_on(self, now: datetime) -> None:
        if self.stopped and self.stopped[-1][1] is None:
            self.stopped[-1] = (self.stopped[-1][0], now)


@dataclass
class Witness:
    """Checks the promises after every step, reading only what is new in the gateway's log."""

    world: World
    skew: timedelta = timedelta(0)
    # When the rate of the gateway, or of a mailing (by id), was set to what; "" is the gateway's.
    rates: dict[str, list[tuple[datetime, int | None]]] = field(default_factory=lambda: defaultdict(list))
    mailings: dict[str, Promised] = field(default_factory=dict)
    _ids: dict[int, tuple[Promised, Client]] = field(default_factory=dict)
    _read: int = 0
    _accepted: set[int] = field(default_factory=set)
    _sent: set[tuple[str, str]] = field(default_factory=set)

    def expect(self, mailing: Mailing, clients: list[Client]) -> Promised:
        """Note a mailing and everybody who matches it."""
        promised = Promised(mailing, {client.client_id: client for client in clients}, ends_at=mailing.end_at)
        self.mailings[mailing.mailing_id] = promised
        for client in clients:
            gateway_id = gateway_id_for(message_id_for(mailing.mailing_id, client.client_id))
            self._ids[gateway_id] = (promised, client)
        return promised

    def check_calls(self) -> None:
        """Promises 3 and 4, and 5: who was called when."""
        assert not self.world.gateway.overlaps, "two senders called the gateway for one message at the same time"
        for call in self.world.gateway.log[self._read :]:
            promised, client = self._ids[call.gateway_id]  # a KeyError: somebody who did not match was called
            mailing = promised.mailing
            assert call.phone_number == client.phone_number
            assert call.text == mailing.text
            assert call.at >= mailing.start_at - self.skew, "called before the start"
            assert call.at < mailing.end_at + self.skew, "called after the end of the window"
            if mailing.local_window:
                nearby = (call.at, call.at - self.skew, call.at + self.skew)
                assert any(mailing.local_window.allows(at, client.timezone) for at in nearby), "called at a wrong hour"
            for since, until in promised.stopped:
                late = call.at > since + PAUSE_WITHIN and (until is None or call.at < until)
                assert not late, f"called {call.at - since} after it was stopped"
            if call.outcome is Outcome.ACCEPTED:
                self._accepted.add(call.gateway_id)
        self._read = len(self.world.gateway.log)

    def check_rows(self) -> None:
        """Promises 1 and 3, in the midst of everything: rows are of those who matched, sent means that the gateway took
        it, and what is sent stays so."""
        sent: set[tuple[str, str]] = set()
        for key, status in self.world.ledger_now().items():
            mailing_id, client_id = key
            assert client_id in self.mailings[mailing_id].clients, "a row of somebody who did not match"
            if status == "sent":
                sent.add(key)
                assert gateway_id_for(message_id_for(*key)) in self._accepted, "sent, and the gateway did not take it"
        assert self._sent <= sent, f"was sent, and is not any more: {self._sent - sent}"
        self._sent = sent

    def check_rates(self) -> None:
        """Promise 5: no second sees more calls than the rate that was in force a minute before."""
        by_mailing: dict[str, list[GatewayCall]] = defaultdict(list)
        for call in self.world.gateway.log:
            by_mailing[""].append(call)
            by_mailing[self._ids[call.gateway_id][0].mailing.mailing_id].append(call)
        for name, changes in self.rates.items():
            moments = [call.at for call in by_mailing[name]]
            for place, at in enumerate(moments):
                in_force = [rate for since, rate in changes if since <= at - timedelta(minutes=1)][-1:]
                in_force += [
                    rate for since, rate in changes if at - timedelta(minutes=1) < since <= at + timedelta(seconds=1)
                ]
                if not in_force or None in in_force:
                    continue
                count = bisect_right(moments, at + timedelta(seconds=1) - timedelta(microseconds=1)) - place
                assert count <= max(rate for rate in in_force if rate), f"{count} calls in a second of {name or 'all'}"

    def check_ledgers(self) -> None:
        """Promise 1: nobody has two rows, nobody a row who did not match, and the counts add up."""
        for promised in self.mailings.values():
            rows = self.world.rows(promised.mailing)
            clients = [row.client_id for row in rows]
            assert len(clients) == len(set(clients))
            assert set(clients) <= set(promised.clients)
            counts = self.world.services.mailings.state(promised.mailing.mailing_id).statistics.counts()
            assert counts["total"] == sum(count for name, count in counts.items() if name != "total")

    def check_ended(self) -> None:
        """Promises 1, 2, 3, 6 and 8, once nothing is left to do."""
        calls = self.world.gateway.calls()
        for promised in self.mailings.values():
            mailing = self.world.services.mailings.get(promised.mailing.mailing_id)
            assert mailing.status in ("finished", "cancelled", "expired"), f"{mailing.status}: {self.story(promised)}"
            if mailing.launched_at is None:
                continue
            rows = self.world.rows(mailing)
            missing = set(promised.clients) - {row.client_id for row in rows}
            assert not missing, f"without a row: {missing}"
            for row in rows:
                self._check_row(row, calls[gateway_id_for(row.message_id)])
            recount = Counter(str(row.status) for row in rows)
            counted = self.world.services.mailings.state(mailing.mailing_id).statistics.counts()
            assert {name: count for name, count in counted.items() if count and name != "total"} == dict(recount)
            assert counted["total"] == len(rows)

    def _check_row(self, row: Message, calls: int) -> None:
        assert row.status.terminal, f"left {row.status}: {row}"
        outcomes = [attempt.outcome for attempt in row.attempts]
        assert calls <= len(outcomes) or len(outcomes) == MAX_ATTEMPTS_KEPT, (
            f"{calls} calls, {len(outcomes)} attempts: {row}"
        )
        assert outcomes.count(Outcome.ACCEPTED) <= 1
        assert Outcome.ACCEPTED not in outcomes[:-1], "called again after it was accepted"
        assert (row.status == "sent") == (outcomes[-1:] == [Outcome.ACCEPTED])
        if Outcome.UNKNOWN in outcomes and row.status != "sent":
            assert row.status == "unknown", f"may have been sent, and is called {row.status}"

    def check_dead_letters(self) -> None:
        """Promise 8: what is on the dead-letter queue was given up for good."""
        for message in self.world.queue(self.world.settings.send_dead_letter_queue):
            assert json.loads(message["body"])["reason"].startswith(USED_UP), message["body"]

    def story(self, promised: Promised) -> str:
        """What is known of a mailing, for the message of a failure."""
        rows = Counter(f"{row.status} {row.reason}" for row in self.world.rows(promised.mailing))
        state = self.world.services.mailings.state(promised.mailing.mailing_id)
        shards = [(s.shard, s.expanded, s.fed, s.rows) for s in state.shards.values() if not (s.expanded and s.fed)]
        return f"{state.mailing.status} {state.statistics.counts()} {dict(rows)} unfinished shards {shards}"
