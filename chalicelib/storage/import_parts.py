"""Files in several parts, each an import of its own: which parts there are, and which numbers they have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from ..domain.client_files import ClientFile
from ..domain.imports import places_of
from .dynamodb import translated
from .import_items import packed, parts_of, unpacked
from .models import SettingModel
from .moments import to_ms
from .tables import Tables

_NUMBERS = 20_000  # in one item, which then has about 200 KB
_KEPT_FOR = timedelta(days=7)
_MOST_PARTS = 1_000


class ImportParts:
    """The parts of files, in the settings table, where they are removed after a week.

    The names of parts are in the order of the file.
    """

    def __init__(self, tables: Tables) -> None:
        self._model: type[SettingModel] = tables.settings

    def add(self, file_id: str, import_id: str, row_offset: int, file: ClientFile, now: datetime) -> None:
        """Note a part with its numbers and ids; a part that comes again replaces the first."""
        expires_at = to_ms(now + _KEPT_FOR) // 1000
        rows = [[key, row] for key, row in places_of(file).items()]
        with translated("imports"), self._model.batch_write() as batch:
            for place, some in enumerate(parts_of(rows, _NUMBERS)):
                name = f"numbers#{_place(row_offset)}#{place:03d}"
                batch.save(self._model(_scope(file_id), name, content=packed(some), expires_at=expires_at))
            batch.save(
                self._model(_scope(file_id), f"part#{_place(row_offset)}", content=import_id, expires_at=expires_at)
            )

    def ids(self, file_id: str) -> Sequence[str]:
        """The imports of a file's uploaded parts, in the order of the file."""
        model = self._model
        with translated("imports"):
            rows = model.query(_scope(file_id), model.name.startswith("part#"), limit=_MOST_PARTS, consistent_read=True)
            return [row.content or "" for row in rows]

    def earlier_rows(self, file_id: str, row_offset: int, keys: Iterable[str]) -> dict[str, int]:
        """The rows in earlier parts that have these keys (of `places_of`), by key."""
        model, wanted = self._model, set(keys)
        found: dict[str, int] = {}
        with translated("imports"):
            before = model.name.between("numbers#", f"numbers#{_place(row_offset)}")
            for item in model.query(_scope(file_id), before, consistent_read=True):
                found |= {key: row for key, row in unpacked(item.content or "") if key in wanted}
        return found


def _scope(file_id: str) -> str:
    return f"import#{file_id}"


def _place(row_offset: int) -> str:
    return f"{row_offset:09d}"
