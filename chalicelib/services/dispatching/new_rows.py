"""The rows of the ledger as dispatch writes them: to be sent, or with a final status that needs no call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ...domain.clients import Client, IndexedClient
from ...domain.mailings import Mailing
from ...domain.messages import Message
from ...domain.reasons import Cause, Reason
from ...domain.sending_rules import closing_status, deferral
from ...domain.statuses import MessageStatus


def new_rows(mailing: Mailing, clients: Iterable[Client | IndexedClient], now: datetime, direct: int) -> list[Message]:
    """A row for each client; the first `direct` of them are marked as having a hint.

    Each client once: one who moved from one range of the index to the next may be in both.
    """
    each_once = {client.client_id: client for client in clients}.values()
    return [_row(mailing, client, now, hinted=place < direct) for place, client in enumerate(each_once)]


def _row(mailing: Mailing, client: Client | IndexedClient, now: datetime, *, hinted: bool) -> Message:
    """The row of a client: to be sent, or with a final status that needs no call."""
    row = Message(
        mailing_id=mailing.mailing_id,
        client_id=client.client_id,
        phone_number=client.phone_number,
        timezone=client.timezone,
        status=MessageStatus.QUEUED,
        revision=1,
        created_at=now,
        updated_at=now,
    )
    if client.opted_out:
        return replace(row, status=MessageStatus.SKIPPED, cause=Cause(Reason.OPTED_OUT))
    if client.unreachable and not mailing.include_unreachable:
        return replace(row, status=MessageStatus.SKIPPED, cause=Cause(Reason.MARKED_UNREACHABLE))
    if closing := closing_status(mailing, now):
        return replace(row, status=closing, cause=Cause(Reason.NOT_DISPATCHED))
    if changes := deferral(mailing, row, now):
        return replace(row, **changes)
    return replace(row, hinted=hinted)
