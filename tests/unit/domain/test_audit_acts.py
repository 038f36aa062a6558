"""What the audit log says of a change: every field that people set, and nothing personal."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chalicelib.domain.attributes import attributes_of
from chalicelib.domain.audit import MOST_CHANGES, MOST_CHARACTERS, AuditAction, Change, differences
from chalicelib.domain.audit_acts import client_act, mailing_act, user_act
from chalicelib.domain.budgets import PausedFor
from chalicelib.domain.clients import CLIENT_FIELDS, Client
from chalicelib.domain.filters import Filter
from chalicelib.domain.local_window import LocalWindow
from chalicelib.domain.mailings import Late, Mailing, Missing, OnUnknown
from chalicelib.domain.segments import Segment
from chalicelib.domain.statuses import MailingStatus
from chalicelib.domain.templates import TemplateLink
from chalicelib.domain.users import Role, User

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
MAILING = Mailing(
    "01KK0000000000000000000000", "Hello", Segment(("vip",)), NOW, LATER, MailingStatus.SCHEDULED, 1, NOW, NOW
)
CLIENT = Client(phone_number="+79161234567", client_id="aaaaaaaaaaaaaaaa", created_at=NOW, updated_at=NOW)
USER = User("maria", Role.OPERATOR, "a hash", NOW, NOW, NOW)
# What the service notes of a mailing by itself.
ITS_OWN = {"mailing_id", "revision", "created_at", "updated_at", "created_by", "launched_at", "finished_at", "stops"}
ITS_OWN |= {"reopening", "final", "history", "widened_at", "asked_until", "division"}
OTHERS: dict[str, Any] = {
    "text": "Bye",
    "segment": Segment((), ("916",), Filter('{"tag": "vip"}')),
    "start_at": NOW + timedelta(minutes=1),
    "end_at": LATER + timedelta(minutes=1),
    "status": MailingStatus.PAUSED,
    "on_unknown": OnUnknown.HOLD,
    "rate_limit": 5,
    "local_window": LocalWindow(time(9), time(18)),
    "late": Late.SKIP,
    "include_unreachable": True,
    "texts": (("ru", "Привет"),),
    "missing": Missing.REFUSE,
    "gateway": "second",
    "keep_values": False,
    "template": TemplateLink("0" * 16, 1, "Greeting"),
    "name": "Spring",
    "budget": Decimal("12.5"),
    "paused_for": next(iter(PausedFor)),
}
CLIENTS_OTHERS: dict[str, Any] = {
    "phone_number": "+79161234568",
    "operator": "999",
    "tags": ("vip",),
    "timezone": "Asia/Tokyo",
    "opted_out": True,
    "language": "ru",
    "attributes": attributes_of({"first_name": "Ada"}),
    "external_id": "A-7",
}


@pytest.mark.parametrize("name", [one.name for one in fields(Mailing) if one.name not in ITS_OWN])
def test_every_field_that_people_set_of_a_mailing_is_told(name: str) -> None:
    """Expects an entry if it changes; a new field belongs to OTHERS, or to ITS_OWN."""
    act = mailing_act(MAILING, replace(MAILING, **{name: OTHERS[name]}))
    assert act is not None
    assert act.changes


@pytest.mark.parametrize("name", CLIENT_FIELDS)
def test_every_field_that_people_set_of_a_client_is_told(name: str) -> None:
    """Expects an entry if it changes, without the number, the attribute and the id themselves."""
    act = client_act(CLIENT, replace(CLIENT, **{name: CLIENTS_OTHERS.get(name, "A-7")}))
    assert act is not None
    assert act.changes
    assert not [word for word in ("1234567", "1234568", "Ada", "A-7") if word in str(act)]


def test_what_the_service_notes_by_itself_is_not_told() -> None:
    """Expects no entry if nothing changes that people see."""
    assert mailing_act(MAILING, replace(MAILING, revision=2, updated_at=LATER, asked_until=LATER)) is None
    assert client_act(CLIENT, replace(CLIENT, updated_at=LATER)) is None


@pytest.mark.parametrize(
    ("old", "new", "action"),
    [
        ({"status": MailingStatus.DRAFT}, {"status": MailingStatus.SCHEDULED}, AuditAction.SCHEDULED),
        ({"start_at": LATER}, {"start_at": NOW}, AuditAction.LAUNCHED),
        ({"status": MailingStatus.DRAFT, "start_at": LATER}, {"start_at": NOW}, AuditAction.LAUNCHED),
        ({}, {"status": MailingStatus.PAUSED}, AuditAction.PAUSED),
        ({"status": MailingStatus.PAUSED}, {"status": MailingStatus.RUNNING}, AuditAction.RESUMED),
        ({"status": MailingStatus.PAUSED}, {}, AuditAction.RESUMED),
        ({"status": MailingStatus.PAUSED}, {"status": MailingStatus.CANCELLED}, AuditAction.CANCELLED),
        ({"status": MailingStatus.FINISHED}, {"status": MailingStatus.RUNNING}, AuditAction.RETRIED),
        ({}, {"rate_limit": 5}, AuditAction.CHANGED),
    ],
)
def test_each_step_has_its_name(old: dict[str, Any], new: dict[str, Any], action: AuditAction) -> None:
    """Expects the word for what a user did, not only that something changed."""
    act = mailing_act(replace(MAILING, **old), replace(MAILING, **new))
    assert act is not None
    assert act.action is action


def test_a_password_is_told_as_changed_and_not_what_it_is() -> None:
    """Expects neither hash; and a change of nothing else to be that tokens were revoked."""
    act = user_act(USER, replace(USER, password_hash="another hash"))
    assert act.changes == (Change("password", None, None),)
    assert user_act(USER, replace(USER, tokens_since=LATER)).action is AuditAction.SIGNED_OUT


def test_an_entry_has_a_bound() -> None:
    """Expects long values to be cut, and no more fields than an item has room for."""
    changes = list(differences({}, {f"field {number}": "x" * 5000 for number in range(100)}))
    assert len(changes) == MOST_CHANGES
    assert all(len(str(change.new)) == MOST_CHARACTERS + 1 for change in changes)
