"""Whether the tables answer: one item of each, read in a single call."""

from __future__ import annotations

from typing import Any

from ..domain.gateway_control import GatewayControl
from .control import control_of, control_place
from .models import Tables
from .retries import translated

_NOBODY = "readiness"  # a key that no row has: what counts is that the table answers


class TableProbe:
    """Asks every table at once. `dynamodb` is a client that waits for seconds only."""

    def __init__(self, tables: Tables, dynamodb: Any) -> None:
        self._tables = tables
        self._dynamodb = dynamodb

    def ask(self) -> GatewayControl:
        """The gateway's control, which stands in one of the tables; Unavailable where a table does not answer."""
        tables = self._tables
        scope, name = control_place()
        wanted = {
            tables.clients: {"client_id": _NOBODY},
            tables.mailings: {"mailing_id": _NOBODY, "part": _NOBODY},
            tables.messages: {"ledger_key": _NOBODY, "client_id": _NOBODY},
            tables.users: {"key": _NOBODY},
            tables.settings: {"scope": scope, "name": name},
        }
        request = {
            model.Meta.table_name: {"Keys": [{key: {"S": value} for key, value in row.items()}]}
            for model, row in wanted.items()
        }
        with translated("tables"):
            found = self._dynamodb.batch_get_item(RequestItems=request)["Responses"]
        rows = found.get(tables.settings.Meta.table_name, [])
        return control_of(tables.settings.from_raw_data(rows[0])) if rows else GatewayControl()
