"""The gateway's control and paces, which decide who may call it and when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from pynamodb.exceptions import PutError
from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.audit_acts import gateway_act
from ..domain.budgets import from_millionths, to_millionths
from ..domain.deadlines import APART
from ..domain.errors import Unavailable
from ..domain.gateway_control import RETRY_AFTER_AT_MOST, Circuit, GatewayChange, GatewayControl, Setting, TroubledCall
from ..domain.gateway_routes import shown
from ..domain.pace import Pace, Spacing, Taken, book
from ..domain.reasons import Cause, parse_with_words
from .audit import AuditLog
from .dynamodb import Item, read_items, transact, translated, was_refused
from .models import SettingModel
from .moments import from_ms, to_ms
from .tables import Tables

_SCOPE = "gateway"
_CONTROL = "control"
_PACES = "paces"
_TRIES = 10
_EPOCH = from_ms(0)
_CHANGES = "gateway-changes"
_CHANGES_KEPT_FOR = timedelta(days=365)
_FAR_US = (RETRY_AFTER_AT_MOST + APART) // timedelta(microseconds=1)  # how far another sender may book ahead at most
_KEPT_FOR = timedelta(days=1)  # for a pace that nobody uses, such as that of a finished mailing


class GatewayControlRepository:
    """An item for the control of a gateway, one for each change of it, and one for each pace.

    `name` is the gateway's, if there are several.
    """

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff, name: str = "") -> None:
        self._control = control_place(name)[1]
        self._changes = f"{_CHANGES}-{name}" if name else _CHANGES
        self._model = tables.settings
        self._dynamodb = dynamodb
        self._connection = tables.connection
        self._backoff = backoff
        self._audit = AuditLog(tables, backoff)
        self._name = name

    def read(self) -> GatewayControl:
        """The control, read consistently."""
        with translated("settings"):
            rows = list(self._model.query(_SCOPE, self._model.name == self._control, consistent_read=True))
        return control_of(rows[0]) if rows else GatewayControl()

    def change(self, old: GatewayControl, new: GatewayControl) -> bool:
        """Replace `old` by `new`, and in the same transaction note what an operator would call a change.

        Returns False if the control has changed since it was read.
        """
        model = self._model
        unchanged = model.revision == old.revision if old.revision else model.revision.does_not_exist()
        changes = new.changes_since(old)
        trail = [_change_row(model, self._changes, new.revision, change) for change in changes]
        with translated("settings"):
            if not trail:
                return self._save(_row(model, self._control, new), unchanged)

            def run() -> None:
                with TransactWrite(connection=self._connection) as transaction:
                    transaction.save(_row(model, self._control, new), condition=unchanged)
                    for row in trail:
                        transaction.save(row)
                    for change in changes:
                        if change.by:
                            self._audit.note(transaction, gateway_act(shown(self._name), change), change.at)

            return not transact(self._backoff, run)

    def changes(self, cursor: str, limit: int) -> tuple[list[GatewayChange], str]:
        """Up to `limit` changes of the last year, the newest first, and the next cursor, "" at the end."""
        start = {"scope": {"S": self._changes}, "name": {"S": cursor}} if cursor else None
        with translated("settings"):
            rows = self._model.query(
                self._changes,
                scan_index_forward=False,
                limit=limit,
                page_size=limit,
                last_evaluated_key=start,
                consistent_read=True,
            )
            changes = [_change(row) for row in rows]
            left = rows.last_evaluated_key
        return changes, left["name"]["S"] if left else ""

    def reserve(self, paces: dict[str, Spacing], wanted: int, now: datetime, horizon: timedelta) -> list[datetime]:
        """Book up to `wanted` moments at which one call each may start, none after the horizon.

        Nobody else gets the same moments. `paces` has the paces to keep, with what a message takes from each. Returns
        fewer moments, or none, if others have booked those before the horizon.
        """
        now_us = to_ms(now) * 1000
        last_us = now_us + horizon // timedelta(microseconds=1)
        with translated("settings"):
            for tries in range(1, _TRIES + 1):
                found = self._paces(paces)
                old = [found[name].sane(last_us + one.gap * one.heaviest + _FAR_US) for name, one in paces.items()]
                moments, new = book(old, list(paces.values()), wanted, now_us, last_us)
                if not moments or self._replace(dict(zip(paces, new, strict=True)), now):
                    return [_EPOCH + timedelta(microseconds=moment) for moment in moments]
                self._backoff.wait(tries)
        raise Unavailable("settings: too many senders reserve at once")

    def taken_until(self, name: str) -> datetime:
        """The first free moment of a pace."""
        with translated("settings"):
            rows = list(self._model.query(_PACES, self._model.name == name, consistent_read=True))
        return _EPOCH + timedelta(microseconds=int(rows[0].next_at) if rows else 0)

    def _paces(self, names: Iterable[str]) -> dict[str, Pace]:
        found = dict.fromkeys(names, Pace())
        keys: list[Item] = [{"scope": {"S": _PACES}, "name": {"S": name}} for name in found]
        table = self._model.Meta.table_name
        for item in read_items(self._dynamodb, self._backoff, table, keys, consistent=True):
            row = self._model.from_raw_data(item)
            apart: list[Any] = row.apart
            weights: list[Any] = row.weights or [1] * len(apart)
            taken = (Taken(int(moment), int(weight)) for moment, weight in zip(apart, weights, strict=True))
            found[row.name] = Pace(int(row.next_at), tuple(taken), int(row.revision))
        return found

    def _replace(self, paces: dict[str, Pace], now: datetime) -> bool:
        """Write all paces, or none and return False if another sender has changed one since it was read."""
        model = self._model
        rows = [
            (
                model(
                    _PACES,
                    name,
                    next_at=pace.next_at,
                    apart=[taken.moment for taken in pace.apart],
                    weights=_weights(pace),
                    revision=pace.revision,
                    expires_at=int((now + _KEPT_FOR).timestamp()),
                ),
                model.revision == pace.revision - 1 if pace.revision > 1 else model.revision.does_not_exist(),
            )
            for name, pace in paces.items()
        ]
        if len(rows) == 1:
            return self._save(*rows[0])

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                for row, unchanged in rows:
                    transaction.save(row, condition=unchanged)

        return not transact(self._backoff, run)

    def _save(self, row: SettingModel, condition: Condition) -> bool:
        try:
            row.save(condition)
        except PutError as error:
            if not was_refused(error):
                raise
            return False
        return True


def _weights(pace: Pace) -> list[int] | None:
    """The weights for the item; empty for most gateways, which count messages."""
    weights = [taken.weight for taken in pace.apart]
    return weights if any(weight > 1 for weight in weights) else None


def _row(model: type[SettingModel], name: str, control: GatewayControl) -> SettingModel:
    return model(
        _SCOPE,
        name,
        rate=control.rate,
        month_budget=None if control.month_budget is None else to_millionths(control.month_budget),
        retry_at=control.retry_at,
        opened_at=control.opened_at,
        stopped_at=control.last_stop[0] if control.last_stop else None,
        resumed_at=control.last_stop[1] if control.last_stop else None,
        trips=control.trips,
        troubled=[f"{call.at.isoformat()} {call.message}" for call in control.troubled],
        held=control.held,
        owner=control.held_by or None,
        began_at=control.held_at,
        revision=control.revision,
        changed_by=control.changed_by,
        changed_at=control.changed_at,
        reason=control.reason,
        cause=_stored(control.cause),
        slowed_at=control.slowed_at,
        slowed_to=control.slowed_to or None,
        finding=control.finding or None,
        rest_until=control.rest_until,
        refused=list(control.refused) or None,
        refusal=_stored(control.refusal),
    )


def control_place(name: str = "") -> tuple[str, str]:
    """The key of the control's item. `name` is the gateway's, if there are several."""
    return _SCOPE, f"{_CONTROL}-{name}" if name else _CONTROL


def control_of(row: SettingModel) -> GatewayControl:
    """The control of an item."""
    cause, reason = _why(row)
    return GatewayControl(
        rate=None if row.rate is None else int(row.rate),
        month_budget=None if row.month_budget is None else from_millionths(int(row.month_budget)),
        retry_at=row.retry_at,
        opened_at=row.opened_at,
        last_stop=(row.stopped_at, row.resumed_at) if row.stopped_at and row.resumed_at else None,
        trips=int(row.trips or 0),
        troubled=tuple(_troubled_call(text) for text in row.troubled or () if " " in text),
        held=bool(row.held),
        held_by=row.owner or "",
        held_at=row.began_at,
        revision=int(row.revision or 0),
        changed_by=row.changed_by or "",
        changed_at=row.changed_at,
        reason=reason,
        cause=cause,
        slowed_at=row.slowed_at,
        slowed_to=float(row.slowed_to or 0),
        finding=bool(row.finding),
        rest_until=row.rest_until,
        refused=tuple(row.refused or ()),
        refusal=Cause.parse(row.refusal or ""),
    )


def _troubled_call(text: str) -> TroubledCall:
    at, message = text.split(" ")
    return TroubledCall(datetime.fromisoformat(at), message)


def _change_row(model: type[SettingModel], scope: str, revision: int, change: GatewayChange) -> SettingModel:
    return model(
        scope,
        f"{revision:012d}-{change.setting}",
        setting=str(change.setting),
        old_value=None if change.old is None else str(change.old),
        new_value=None if change.new is None else str(change.new),
        changed_by=change.by,
        changed_at=change.at,
        reason=change.reason,
        cause=_stored(change.cause),
        expires_at=int((change.at + _CHANGES_KEPT_FOR).timestamp()),
    )


def _change(row: SettingModel) -> GatewayChange:
    assert row.changed_at  # noqa: S101 - every change has it
    setting = Setting(row.setting or "")

    def value(text: str | None) -> int | Decimal | Circuit | None:
        if text is None:
            return None
        if setting is Setting.MONTH_BUDGET:
            return Decimal(text)
        return int(text) if setting is Setting.RATE else cast(Circuit, text)

    old, new = value(row.old_value), value(row.new_value)
    cause, reason = _why(row)
    return GatewayChange(
        at=row.changed_at, by=row.changed_by or "", setting=setting, old=old, new=new, reason=reason, cause=cause
    )


def _stored(cause: Cause | None) -> str | None:
    return None if cause is None else str(cause)


def _why(row: SettingModel) -> tuple[Cause | None, str]:
    """The cause if the service itself changed the circuit, and the words of the gateway or of an operator."""
    reason = row.reason or ""
    if row.cause or row.changed_by:
        return Cause.parse(row.cause or ""), reason
    return parse_with_words(reason)  # the form of older versions
