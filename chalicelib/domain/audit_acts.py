"""What the audit log says about a change, found by comparing an object before and after.

No phone number, attribute or external id of a client is kept, so that nothing personal is left when they are deleted.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from .attributes import PREFIX
from .audit import Act, AuditAction, AuditObject, Change, Value, differences
from .budgets import written
from .clients import CLIENT_FIELDS, Client, masked_phone
from .gateway_control import GatewayChange, Setting
from .mailings import Mailing
from .segments import Segment
from .statuses import MailingStatus

if TYPE_CHECKING:  # senders need none of these
    from .prices import PriceList
    from .saved_segments import SavedSegment
    from .templates import Template
    from .users import User

_BECAME = {
    MailingStatus.PAUSED: AuditAction.PAUSED,
    MailingStatus.CANCELLED: AuditAction.CANCELLED,
    MailingStatus.SCHEDULED: AuditAction.SCHEDULED,
}
# The values of other fields of a client are left out: they may be personal.
_SHOWN_OF_CLIENTS = frozenset({"operator", "tags", "timezone", "opted_out", "language", "unreachable"})
_CIRCUIT = {"held": AuditAction.PAUSED, "closed": AuditAction.RESUMED}


def mailing_act(old: Mailing | None, new: Mailing | None) -> Act | None:
    """What was done to a mailing, None if people see no change. `old` is None if it is new, `new` if it was deleted."""
    one = new or old
    assert one  # noqa: S101 - by contract
    changes = tuple(differences(_of_mailing(old), _of_mailing(new))) if old and new else ()
    if old and new and not changes:
        return None
    return Act(
        action=_action(old, new), object=AuditObject.MAILING, object_id=one.mailing_id, name=one.title, changes=changes
    )


def _action(old: Mailing | None, new: Mailing | None) -> AuditAction:
    if old is None or new is None:
        return _plain_action(old, new)
    if new.status is MailingStatus.SCHEDULED and new.start_at == new.updated_at < old.start_at:
        return AuditAction.LAUNCHED
    if new.status is not old.status:
        if old.status.ended:
            return AuditAction.RETRIED
        if old.status is MailingStatus.PAUSED and new.status is not MailingStatus.CANCELLED:
            return AuditAction.RESUMED
        return _BECAME.get(new.status, AuditAction.CHANGED)
    return AuditAction.CHANGED


def _plain_action(old: object | None, new: object | None) -> AuditAction:
    if old is None:
        return AuditAction.CREATED
    return AuditAction.CHANGED if new else AuditAction.DELETED


def _of_mailing(mailing: Mailing | None) -> dict[str, Value]:
    """The fields that people set, by their names in the API, and the status."""
    if mailing is None:
        return {}
    window, template = mailing.local_window, mailing.template
    return {
        "status": mailing.status.value,
        "name": mailing.name,
        "text": mailing.text,
        **{f"texts.{language}": text for language, text in mailing.texts},
        **_of_segment(mailing.segment),
        "start_time": _moment(mailing.start_at),
        "end_time": _moment(mailing.end_at),
        "local_window": f"{window.start:%H:%M}-{window.until:%H:%M} {window.policy}" if window else None,
        "rate_limit": mailing.rate_limit,
        "on_unknown": mailing.on_unknown.value,
        "late": mailing.late.value,
        "include_unreachable": mailing.include_unreachable,
        "missing": mailing.missing.value,
        "keep_values": mailing.keep_values,
        "budget": written(mailing.budget),
        "paused_for": mailing.paused_for.value if mailing.paused_for else None,
        "gateway": mailing.gateway or None,
        "template": f"{template.name} ({template.version})" if template else None,
    }


def _of_segment(segment: Segment) -> dict[str, Value]:
    return {
        "clients.tag": list(segment.tags),
        "clients.operator": list(segment.operators),
        "clients.filter": segment.filter.text if segment.filter else None,
        "clients.recipients": segment.recipients,
    }


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def client_act(old: Client | None, new: Client | None) -> Act | None:
    """What was done to a client, None if people see no change. `old` is None if it is new, `new` if it was deleted."""
    one = new or old
    assert one  # noqa: S101 - by contract
    changes = tuple(map(_hidden, differences(_of_client(old), _of_client(new)))) if old and new else ()
    if old and new and not changes:
        return None
    action = _plain_action(old, new)
    if old and new and old.opted_out != new.opted_out:
        action = AuditAction.OPTED_OUT if new.opted_out else AuditAction.OPTED_IN
    return Act(
        action=action,
        object=AuditObject.CLIENT,
        object_id=one.client_id,
        name=masked_phone(one.phone_number),
        changes=changes,
    )


def _of_client(client: Client | None) -> dict[str, Value]:
    if client is None:
        return {}
    said = {name: getattr(client, name) for name in CLIENT_FIELDS if name != "attributes"}
    return {
        **said,
        "tags": list(client.tags),
        "unreachable": client.unreachable,
        **{PREFIX + name: str(value) for name, value in client.attributes.items()},
    }


def _hidden(change: Change) -> Change:
    if change.field == "phone_number":
        return replace(change, old=masked_phone(str(change.old)), new=masked_phone(str(change.new)))
    return change if change.field in _SHOWN_OF_CLIENTS else Change(change.field, None, None)


def user_act(old: User | None, new: User | None) -> Act:
    """What was done to a user. `old` is None if it is new, `new` if it was deleted."""
    one = new or old
    assert one  # noqa: S101 - by contract
    changes: list[Change] = []
    if old and new:
        changes += differences({"role": old.role.value}, {"role": new.role.value})
        if new.password_hash != old.password_hash:
            changes.append(Change("password", None, None))
        if not changes:
            return Act(AuditAction.SIGNED_OUT, AuditObject.USER, one.username, one.username)
    elif new:
        changes.append(Change("role", None, new.role.value))
    return Act(
        action=_plain_action(old, new),
        object=AuditObject.USER,
        object_id=one.username,
        name=one.username,
        changes=tuple(changes),
    )


def gateway_act(gateway: str, change: GatewayChange) -> Act:
    """What was done to a gateway. `gateway` is its name as people know it."""
    if change.setting is not Setting.CIRCUIT:
        old, new = (written(one) if isinstance(one, Decimal) else one for one in (change.old, change.new))
        changes = [Change(str(change.setting), old, new)]
        return Act(
            action=AuditAction.CHANGED,
            object=AuditObject.GATEWAY,
            object_id=gateway,
            name=gateway,
            changes=tuple(changes),
        )
    changes = [Change("reason", None, change.reason)] if change.reason else []
    return Act(
        action=_CIRCUIT.get(str(change.new), AuditAction.CHANGED),
        object=AuditObject.GATEWAY,
        object_id=gateway,
        name=gateway,
        changes=tuple(changes),
    )


def template_act(old: Template | None, new: Template | None) -> Act:
    """What was done to a template. `old` is None if it is new, `new` if it was deleted."""
    one = new or old
    assert one  # noqa: S101 - by contract
    changes = tuple(differences(_of_template(old), _of_template(new))) if old and new else ()
    return Act(
        action=_plain_action(old, new),
        object=AuditObject.TEMPLATE,
        object_id=one.template_id,
        name=one.name,
        changes=changes,
    )


def _of_template(template: Template | None) -> dict[str, Value]:
    if template is None:
        return {}
    texts = {f"texts.{language}": text for language, text in template.texts}
    return {"name": template.name, "text": template.text, **texts}


def segment_act(old: SavedSegment | None, new: SavedSegment | None) -> Act:
    """What was done to a saved segment. `old` is None if it is new, `new` if it was deleted."""
    one = new or old
    assert one  # noqa: S101 - by contract
    changes = tuple(differences(_of_segment(old.segment), _of_segment(new.segment))) if old and new else ()
    return Act(
        action=_plain_action(old, new),
        object=AuditObject.SEGMENT,
        object_id=one.segment_id,
        name=one.name,
        changes=changes,
    )


def prices_act(old: PriceList, new: PriceList) -> Act:
    """What was done to the price list."""
    changes = tuple(differences(_of_prices(old), _of_prices(new)))
    return Act(AuditAction.CHANGED, AuditObject.PRICES, changes=changes, count=len(new.entries))


def _of_prices(prices: PriceList) -> dict[str, Value]:
    rows = {f"{gateway} {prefix}".strip(): price for prefix, price, _currency, gateway in prices.entries}
    return {"currency": prices.currency, **rows}
