"""The gateway's control, and paces: who may call it when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pynamodb.exceptions import PutError, UpdateError

from ..clock import Backoff
from ..domain.errors import Unavailable
from ..domain.gateway_control import GatewayControl
from .models import SettingModel, Tables, from_ms, to_ms
from .retries import translated

_SCOPE = "gateway"
_CONTROL = "control"
_PACES = "paces"
_REFUSED = "ConditionalCheckFailedException"
_TRIES = 10
_EPOCH = from_ms(0)


class ControlRepository:
    """One item for the control, one for each pace."""

    def __init__(self, tables: Tables, backoff: Backoff) -> None:
        self._model = tables.settings
        self._backoff = backoff

    def read(self) -> GatewayControl:
        """The control as it stands."""
        with translated("settings"):
            rows = list(self._model.query(_SCOPE, self._model.name == _CONTROL, consistent_read=True))
        return _control(rows[0]) if rows else GatewayControl()

    def change(self, old: GatewayControl, new: GatewayControl) -> bool:
        """Put `new` in the place of `old`; False where it is not as it was read any more."""
        model = self._model
        unchanged = model.revision == old.revision if old.revision else model.revision.does_not_exist()
        with translated("settings"):
            try:
                _row(model, new).save(unchanged)
            except PutError as error:
                if error.cause_response_code != _REFUSED:
                    raise
                return False
        return True

    def reserve(self, name: str, wanted: int, gap_us: int, now: datetime, horizon: timedelta) -> list[datetime]:
        """Up to `wanted` moments at which one call each may start, `gap_us` microseconds apart, none after the horizon.

        Nobody else is given the same moments. Fewer, or none, where others have taken them up to the horizon.
        """
        model = self._model
        row = model(_PACES, name)
        now_us = to_ms(now) * 1000
        last_us = now_us + horizon // timedelta(microseconds=1)
        with translated("settings"):
            for tries in range(1, _TRIES + 1):
                seen = self._next_free(name)
                start = max(now_us, seen or 0)
                count = min(wanted, max(0, (last_us - start) // gap_us + 1))
                if not count:
                    return []
                condition = model.next_free.does_not_exist() if seen is None else model.next_free == seen
                try:
                    row.update(actions=[model.next_free.set(start + count * gap_us)], condition=condition)
                except UpdateError as error:
                    if error.cause_response_code != _REFUSED:
                        raise
                    self._backoff.wait(tries)
                    continue
                return [_EPOCH + timedelta(microseconds=start + place * gap_us) for place in range(count)]
        raise Unavailable("settings: too many senders reserve at once")

    def _next_free(self, name: str) -> int | None:
        rows: list[Any] = list(self._model.query(_PACES, self._model.name == name, consistent_read=True))
        return int(rows[0].next_free) if rows and rows[0].next_free is not None else None


def _row(model: type[SettingModel], control: GatewayControl) -> SettingModel:
    return model(
        _SCOPE,
        _CONTROL,
        rate=control.rate,
        retry_at=control.retry_at,
        opened_at=control.opened_at,
        trips=control.trips,
        held=control.held,
        revision=control.revision,
        changed_by=control.changed_by,
        changed_at=control.changed_at,
    )


def _control(row: SettingModel) -> GatewayControl:
    return GatewayControl(
        rate=None if row.rate is None else int(row.rate),
        retry_at=row.retry_at,
        opened_at=row.opened_at,
        trips=int(row.trips or 0),
        held=bool(row.held),
        revision=int(row.revision or 0),
        changed_by=row.changed_by or "",
        changed_at=row.changed_at,
    )
