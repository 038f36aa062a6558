"""Whether the tables answer: one item of each table, read in a single call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..domain.gateway_control import GatewayControl
from ..domain.heartbeats import Heartbeat, Worker
from .dynamodb import translated
from .gateway_control import control_of, control_place
from .heartbeats import SCOPE, heartbeats_of
from .models import Tables

_NOBODY = "readiness"  # a key that no row has: what counts is that the table answers


class TableProbe:
    """Asks every table at once. `dynamodb` is a client that waits for seconds only."""

    def __init__(self, tables: Tables, dynamodb: Any) -> None:
        self._tables = tables
        self._dynamodb = dynamodb

    def ask(self) -> tuple[GatewayControl, Sequence[Heartbeat]]:
        """The gateway's control and the heartbeats, which are in one of the tables. Raises Unavailable if a table is
        silent.
        """
        tables = self._tables
        scope, name = control_place()
        wanted: dict[Any, list[dict[str, str]]] = {
            tables.clients: [{"client_id": _NOBODY}],
            tables.mailings: [{"mailing_id": _NOBODY, "part": _NOBODY}],
            tables.messages: [{"ledger_key": _NOBODY, "client_id": _NOBODY}],
            tables.users: [{"key": _NOBODY}],
            tables.settings: [
                {"scope": scope, "name": name},
                *({"scope": SCOPE, "name": str(worker)} for worker in Worker),
            ],
        }
        request = {
            model.Meta.table_name: {"Keys": [{key: {"S": value} for key, value in row.items()} for row in rows]}
            for model, rows in wanted.items()
        }
        with translated("tables"):
            found = self._dynamodb.batch_get_item(RequestItems=request)["Responses"]
        items = [tables.settings.from_raw_data(row) for row in found.get(tables.settings.Meta.table_name, [])]
        controls = [control_of(row) for row in items if row.scope == scope]
        return controls[0] if controls else GatewayControl(), heartbeats_of(items)
