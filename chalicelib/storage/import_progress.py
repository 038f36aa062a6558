"""An import as it is stored: what the file contained, the options, and the progress."""

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
    rejected_later: int = 0  # rows rejected when they were written, because another client had got their external id
    later_pages: int = 0  # pages of the report and of the rejected rows that have these
    mode: str = "update"
    allow_opt_in: bool = False
    add_tag: str = ""
    country: str = ""
    file_name: str = ""
    opt_out_chunks: int = 0  # the last chunks: numbers that are opted out although they have no good row
    part_of: str = ""  # the import of the file's first part
    row_offset: int = 0
    parts: int = 1
    other_channels: int = 0  # rows of Pinpoint for e-mail or push
    left_out: Sequence[str] = ()  # columns
    encoding: str = ""
    separator: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)  # column name to field, "" if it is left out
    header: Sequence[str] = ()
    held: bool = False  # until somebody starts it, after seeing what it would change
    report_pages: int = 0  # without the later pages
    reject_pages: int = 0
    for_mailing: bool = False  # its rows are recipients of one mailing, not clients
    expected: Mapping[str, int] = field(default_factory=dict)  # the expected counts, if it is, or was, held

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
        """What the audit log says about it when it begins."""
        return Act(AuditAction.IMPORTED, AuditObject.CLIENTS, self.file_id, self.file_name, count=self.rows)

    @property
    def only_opts_out(self) -> bool:
        """Whether the next chunk has numbers without a good row."""
        return self.chunks_done >= self.chunks - self.opt_out_chunks


COUNTS = (
    *("chunks_done", "created", "changed", "unchanged", "opted_out", "opted_in_again", "opt_outs_kept"),
    *("rejected_later", "later_pages"),
)
# The fields of an import that never change, stored as one text.
FACTS = tuple(one.name for one in fields(Import) if one.name not in (*COUNTS, "import_id", "created_at", "held"))
