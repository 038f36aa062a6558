"""Reads on which a decision depends are consistent: others may answer what was true a second ago."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.segments import Segment
from chalicelib.domain.statuses import MailingStatus
from tests.factories import START, ClientFactory, MailingFactory, MessageFactory, UserFactory
from tests.integration.storage.engines import Store
from tests.support.aws import Call

CLIENT, MAILING, MESSAGE, USER = ClientFactory(), MailingFactory(), MessageFactory(), UserFactory()


def refused_change(store: Store) -> None:
    """A change that meets somebody else's."""
    store.mailings.change(MailingFactory(mailing_id=MAILING.mailing_id, revision=9), MAILING)


READS: dict[str, Callable[[Store], Any]] = {
    "a client that is changed": lambda store: store.clients.get(CLIENT.client_id),
    "how to reach a client at the last moment": lambda store: store.clients.contacts([CLIENT.client_id], True),
    "who was changed while a mailing was expanded": lambda store: store.clients.changes.page("0", 10),
    "a mailing that is changed": lambda store: store.mailings.get(MAILING.mailing_id),
    "whether a change was ours": refused_change,
    "what a sender may do": lambda store: store.mailings.state(MAILING.mailing_id),
    "what a dispatcher may do": lambda store: store.mailings.with_shard(MAILING.mailing_id, "00"),
    "whether a mailing was removed": lambda store: store.mailings.is_deleted(MAILING.mailing_id),
    "rows that are claimed": lambda store: store.ledger.read([(MESSAGE.mailing_id, MESSAGE.client_id)]),
    "rows that are fed": lambda store: store.ledger.page(MESSAGE.mailing_id, "00", "", 10),
    "rows that are counted": lambda store: store.ledger.long_page(MESSAGE.mailing_id, "00", ""),
    "how far a ledger is counted": lambda store: store.walks.read(MAILING.mailing_id),
    "a walk that is gone on with": lambda store: store.walks.take(MAILING.mailing_id, "00", "1", 0, "me", START, START),
    "a token that may be revoked": lambda store: store.users.token("0" * 64),
    "a user that signs in": lambda store: store.users.get(USER.username),
    "tries to sign in": lambda store: store.users.tries("account#anna", START),
    "the circuit": lambda store: store.control.read(),
    "how many users there are": lambda store: store.users.count(),
}


@pytest.mark.parametrize("name", READS)
def test_a_read_that_decides_is_consistent(faulty: Store, name: str) -> None:
    """DynamoDB reads otherwise unless it is told to; emulators never do, so nothing else shows it."""
    faulty.clients.create(CLIENT)
    faulty.mailings.create(MAILING)
    faulty.users.create(USER)
    seen: list[bool] = []

    def note(call: Call) -> None:
        body = json.loads(call.body)
        if call.operation == "dynamodb.Query":
            seen.append(body.get("ConsistentRead", False))
        elif call.operation == "dynamodb.BatchGetItem":
            seen.extend(wanted.get("ConsistentRead", False) for wanted in body["RequestItems"].values())

    faulty.aws.before = note
    READS[name](faulty)
    assert seen
    assert all(seen)


def test_an_index_cannot_be_read_consistently(faulty: Store) -> None:
    """DynamoDB refuses it; emulators may not."""
    bodies: list[dict[str, Any]] = []
    faulty.aws.before = lambda call: bodies.append(json.loads(call.body))
    faulty.mailings.lists.list(None, None, 10)
    list(faulty.mailings.lists.with_status(MailingStatus.RUNNING))
    faulty.users.list("", 10)
    faulty.users.tokens("anna")
    faulty.ledger.trouble_page(MAILING.mailing_id, "", 10)
    faulty.ledger.due(MAILING.mailing_id, "00", START, "", 10)
    faulty.mailings.deleted(10)
    faulty.clients.page(Segment(("vip",)), "00", "", 10)
    faulty.clients.page(Segment(), "00", "", 10)
    of_indexes = [body for body in bodies if "RequestItems" not in body]  # what they lead to is read by key
    found = {body["IndexName"] for body in of_indexes}
    assert found == {"by_age", "by_status", "by_group", "trouble", "parked", "contacts_by_tag", "contacts_by_operator"}
    assert not any(body.get("ConsistentRead") for body in of_indexes)
