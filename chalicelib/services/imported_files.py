"""A file that was imported, in one part or in several: how far all of it has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..storage.import_progress import Import

Status = Literal["checked", "incomplete", "running", "finished"]


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """The parts of a file that have come, in the order of the file; there is always the first."""

    parts: Sequence[Import]

    @property
    def first(self) -> Import:
        return self.parts[0]

    @property
    def import_id(self) -> str:
        return self.first.import_id

    @property
    def created_by(self) -> str:
        return self.first.created_by

    @property
    def created_at(self) -> datetime:
        return self.first.created_at

    @property
    def finished(self) -> bool:
        """Whether all parts have come, and all their correct rows are written."""
        return len(self.parts) >= self.first.parts and all(part.finished for part in self.parts)

    @property
    def status(self) -> Status:
        """ "checked" if nothing is written before somebody starts it, "incomplete" if parts are missing, else "running"
        or "finished".
        """
        if len(self.parts) < self.first.parts:
            return "incomplete"
        return "finished" if self.finished else "checked" if self.first.held else "running"

    def expected(self, count: str) -> int:
        """What a check found of a count, such as "created"."""
        return sum(part.expected.get(count, 0) for part in self.parts)

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def accepted(self) -> int:
        return sum(part.accepted for part in self.parts)

    @property
    def rejected(self) -> int:
        return sum(part.rejected + part.rejected_later for part in self.parts)

    @property
    def rejected_later(self) -> int:
        """Rows among these that were rejected when they were to be written, after the file was checked."""
        return sum(part.rejected_later for part in self.parts)

    @property
    def other_channels(self) -> int:
        """Rows that are addresses of mail or push, and no numbers."""
        return sum(part.other_channels for part in self.parts)

    @property
    def left_out(self) -> Sequence[str]:
        """The columns that no field is."""
        return self.first.left_out

    @property
    def done(self) -> int:
        return sum(part.done for part in self.parts)

    @property
    def created(self) -> int:
        return sum(part.created for part in self.parts)

    @property
    def changed(self) -> int:
        return sum(part.changed for part in self.parts)

    @property
    def unchanged(self) -> int:
        return sum(part.unchanged for part in self.parts)

    @property
    def opted_out(self) -> int:
        """Clients who are opted out by the file and were not before, new ones among them."""
        return sum(part.opted_out for part in self.parts)

    @property
    def opted_in_again(self) -> int:
        return sum(part.opted_in_again for part in self.parts)

    @property
    def opt_outs_kept(self) -> int:
        """Clients who stay opted out although the file says otherwise."""
        return sum(part.opt_outs_kept for part in self.parts)
