"""Whether the tables answer and the key of the clients' ids is intact, in a single call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..domain.errors import NotReady, Unavailable
from ..domain.gateway_control import GatewayControl
from ..domain.heartbeats import Heartbeat
from .client_key import PLACE, ids_of
from .dynamodb import Item, translated
from .gateway_control import control_of, control_place
from .heartbeats import heartbeat_places, heartbeats_of
from .tables import Tables

_NOBODY = {"S": "readiness"}  # a key that no row has; the table only has to answer


class TableProbe:
    """Asks every table at once. `dynamodb` is a client with short time limits."""

    def __init__(self, tables: Tables, dynamodb: Any) -> None:
        self._tables = tables
        self._dynamodb = dynamodb

    def ask(self) -> tuple[GatewayControl, Sequence[Heartbeat]]:
        """Read from every table.

        Returns the gateway's control and the heartbeats. Raises Unavailable if a table does not answer, and NotReady if
        the key of the clients' ids is damaged.
        """
        tables = self._tables
        scope, name = control_place()
        wanted: dict[Any, list[Item]] = {
            tables.clients: [{"client_id": {"S": PLACE}}],
            tables.mailings: [{"mailing_id": _NOBODY, "part": _NOBODY}],
            tables.ledger: [{"ledger_key": _NOBODY, "bucket_no": {"N": "0"}}],
            tables.users: [{"key": _NOBODY}],
            tables.settings: [{"scope": {"S": scope}, "name": {"S": name}}, *heartbeat_places()],
        }
        request = {model.Meta.table_name: {"Keys": keys} for model, keys in wanted.items()}
        with translated("tables"):
            found = self._dynamodb.batch_get_item(RequestItems=request)["Responses"]
        _check_key(found.get(tables.clients.Meta.table_name, []))
        items = [tables.settings.from_raw_data(row) for row in found.get(tables.settings.Meta.table_name, [])]
        controls = [control_of(row) for row in items if row.scope == scope]
        return controls[0] if controls else GatewayControl(), heartbeats_of(items)


def _check_key(items: Sequence[Item]) -> None:
    """Raises NotReady if the key is damaged.

    There may be none yet, because the first process that needs it makes it.
    """
    try:
        for item in items:
            ids_of(item)
    except Unavailable as error:
        raise NotReady("the key of the clients' ids") from error
