"""How users assigned columns to fields, for the next file with the same columns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from .dynamodb import translated
from .models import SettingModel
from .moments import to_ms
from .tables import Tables

_KEPT_FOR = timedelta(days=365)


class ImportMappings:
    """Assignments in the settings table, where they are removed after a year without such a file."""

    def __init__(self, tables: Tables) -> None:
        self._model: type[SettingModel] = tables.settings

    def find(self, username: str, header: Iterable[str]) -> Mapping[str, str]:
        """The fields that the user assigned, by the columns' names; empty if there was no such file."""
        model = self._model
        with translated("imports"):
            rows = list(model.query(_scope(username), model.name == _set_of(header)))
        found: dict[str, str] = json.loads(rows[0].body or "{}") if rows else {}
        return found

    def keep(self, username: str, header: Iterable[str], told: Mapping[str, str], now: datetime) -> None:
        """Save how the user assigned the columns of such a file, replacing what they chose before."""
        expires_at = to_ms(now + _KEPT_FOR) // 1000
        with translated("imports"):
            self._model(_scope(username), _set_of(header), body=json.dumps(dict(told)), expires_at=expires_at).save()


def _scope(username: str) -> str:
    return f"import-columns#{username}"


def _set_of(header: Iterable[str]) -> str:
    """The same name for the same columns in any order."""
    return hashlib.sha256(json.dumps(sorted(set(header))).encode()).hexdigest()[:32]
