"""The gateways' controls and the workers' heartbeats in one call, for the state of sending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..clock import Backoff
from ..domain.gateway_control import GatewayControl
from ..domain.gateway_routes import shown
from ..domain.heartbeats import Heartbeat
from .dynamodb import read_items
from .gateway_control import control_of, control_place
from .heartbeats import heartbeat_places, heartbeats_of
from .tables import Tables


class SendingStateRepository:
    """Reads what others write. `gateways` are their names in rows."""

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff, gateways: Sequence[str]) -> None:
        self._model = tables.settings
        self._dynamodb = dynamodb
        self._backoff = backoff
        self._places = {control_place(name): shown(name) for name in gateways}

    def read(self) -> tuple[Mapping[str, GatewayControl], Sequence[Heartbeat]]:
        """The control of each gateway, by its name for people, and the last heartbeats."""
        keys = [{"scope": {"S": scope}, "name": {"S": name}} for scope, name in self._places]
        keys += heartbeat_places()
        table = self._model.Meta.table_name
        found = read_items(self._dynamodb, self._backoff, table, keys, consistent=True)
        rows = [self._model.from_raw_data(item) for item in found]
        saved = {(row.scope, row.name): control_of(row) for row in rows if (row.scope, row.name) in self._places}
        controls = {name: saved.get(place, GatewayControl()) for place, name in self._places.items()}
        return controls, heartbeats_of(rows)
