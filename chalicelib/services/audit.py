"""The audit log, for people to read."""

from __future__ import annotations

import re

from ..clock import SystemClock
from ..domain.audit import Act, AuditEntry, AuditFilter
from ..domain.errors import Malformed
from ..domain.faults import Fault
from ..storage.audit import AuditLog

_CURSOR = re.compile(r"|[0-9]{13}-[0-9a-f]{8}")


class AuditService:
    """Lists what users did in the last two years. Repositories write the entries of changes themselves."""

    def __init__(self, log: AuditLog, clock: SystemClock) -> None:
        self._log = log
        self._clock = clock

    def list(self, wanted: AuditFilter, cursor: str, limit: int) -> tuple[list[AuditEntry], str]:
        """Up to `limit` entries, the newest first, and the next cursor, "" at the end. A page may be short or empty.

        Raises Malformed for a bad cursor.
        """
        if not _CURSOR.fullmatch(cursor):
            raise Malformed(Fault.CURSOR_OF_ANOTHER_LIST)
        return self._log.page(wanted, cursor, limit, self._clock.now())

    def put(self, act: Act) -> None:
        """Add an entry for an act of the current user that no repository writes."""
        self._log.put(act)
