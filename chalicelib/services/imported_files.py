"""An imported file, in one part or several, and the progress of all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..storage.import_progress import Import

Status = Literal["checked", "incomplete", "running", "finished"]


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """The uploaded parts of a file, in the order of the file; the first one is always there."""

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
        """Whether all parts were uploaded and all their correct rows are written."""
        return len(self.parts) >= self.first.parts and all(part.finished for part in self.parts)

    @property
    def status(self) -> Status:
        """ "checked" if it waits for somebody to start it, "incomplete" if parts are missing, else "running" or
        "finished".
        """
        if len(self.parts) < self.first.parts:
            return "incomplete"
        return "finished" if self.finished else "checked" if self.first.held else "running"

    def expected(self, count: str) -> int:
        """The value of a count, such as "created", that a check found."""
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
        """Rejected rows that were rejected later than the check, when they were to be written."""
        return sum(part.rejected_later for part in self.parts)

    @property
    def other_channels(self) -> int:
        """Rows for e-mail or push instead of phone numbers."""
        return sum(part.other_channels for part in self.parts)

    @property
    def left_out(self) -> Sequence[str]:
        """The columns that match no field."""
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
        """Clients whom the file opted out, including new ones."""
        return sum(part.opted_out for part in self.parts)

    @property
    def opted_in_again(self) -> int:
        return sum(part.opted_in_again for part in self.parts)

    @property
    def opt_outs_kept(self) -> int:
        """Clients who stay opted out although the file says otherwise."""
        return sum(part.opt_outs_kept for part in self.parts)
