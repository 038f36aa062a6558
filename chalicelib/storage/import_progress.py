"""An import as it is kept: what the file held, what was asked for, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

from ..domain.audit import Act, AuditAction, AuditObject


@dataclass(frozen=True, slots=True)
class Import:
    """One import. `rows` were read from the file, `done` of the accepted ones are written."""

    import_id: str
    created_at: datetime
    created_by: str
    rows: int
    rejected: int
    errors: int
    chunks: int
    chunks_done: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    opted_out: int = 0
    opted_in_again: int = 0
    opt_outs_kept: int = 0
    rejected_later: int = 0  # rows, when they were to be written: another client had come to have their external id
    later_pages: int = 0  # of the report and of the rejected rows, with these
    mode: str = "update"
    allow_opt_in: bool = False
    add_tag: str = ""
    country: str = ""
    file_name: str = ""
    opt_out_chunks: int = 0  # the last ones: numbers that are opted out, though no row of theirs is good
    part_of: str = ""  # the import of the file's first part
    row_offset: int = 0
    parts: int = 1
    other_channels: int = 0  # rows of Pinpoint that are addresses of mail or push
    left_out: Sequence[str] = ()  # columns
    encoding: str = ""
    separator: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)  # by its name, the field of each column, or ""
    header: Sequence[str] = ()
    held: bool = False  # until somebody who has seen what would become of it starts it
    report_pages: int = 0  # without those
    reject_pages: int = 0
    for_mailing: bool = False  # its rows are for one mailing only, and no clients
    expected: Mapping[str, int] = field(default_factory=dict)  # the counts of one that is, or was, held

    @property
    def accepted(self) -> int:
        return self.rows - self.rejected - self.rejected_later

    @property
    def done(self) -> int:
        return self.created + self.changed + self.unchanged

    @property
    def finished(self) -> bool:
        return self.chunks_done >= self.chunks

    @property
    def file_id(self) -> str:
        """The import of the file's first part."""
        return self.part_of or self.import_id

    @property
    def act(self) -> Act:
        """What the audit log says of it when it begins."""
        return Act(AuditAction.IMPORTED, AuditObject.CLIENTS, self.file_id, self.file_name, count=self.rows)

    @property
    def only_opts_out(self) -> bool:
        """Whether the next chunk is of numbers without a good row."""
        return self.chunks_done >= self.chunks - self.opt_out_chunks


COUNTS = (
    *("chunks_done", "created", "changed", "unchanged", "opted_out", "opted_in_again", "opt_outs_kept"),
    *("rejected_later", "later_pages"),
)
# What never changes of an import, and is kept as one text.
FACTS = tuple(one.name for one in fields(Import) if one.name not in (*COUNTS, "import_id", "created_at", "held"))
