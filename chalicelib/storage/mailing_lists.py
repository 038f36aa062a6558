"""Lists of mailings, read from the indexes by status and by age."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..domain.local_window import WindowPolicy
from ..domain.mailings import Mailing
from ..domain.statuses import MailingStatus
from .dynamodb import translated
from .mailing_rows import KIND, META, mailing_of
from .tables import Tables


class MailingLists:
    """Lists of mailings. An index may lag behind the table for a moment."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.mailings

    def list(
        self, status: MailingStatus | None, after: tuple[str, int] | None, limit: int
    ) -> tuple[list[Mailing], tuple[str, int] | None]:
        """Up to `limit` mailings after a place, the newest first; of one status, the latest start first."""
        hash_key, index, sort = (
            (KIND, "by_age", "mailing_id") if status is None else (str(status), "by_status", "start_at")
        )
        start: dict[str, dict[str, Any]] | None = None
        if after:
            start = {"mailing_id": {"S": after[0]}, "part": {"S": META}}
            start |= (
                {"kind": {"S": KIND}} if status is None else {"status": {"S": hash_key}, sort: {"N": str(after[1])}}
            )
        with translated("mailings"):
            rows = self._model.query(
                hash_key,
                index_name=index,
                limit=limit,
                page_size=limit,
                scan_index_forward=False,
                last_evaluated_key=start,
            )
            mailings = [mailing_of(row) for row in rows]
            left = rows.last_evaluated_key
        following = (left["mailing_id"]["S"], int(left.get("start_at", {"N": "0"})["N"])) if left else None
        return mailings, following

    def with_status(self, status: MailingStatus, start_until: datetime | None = None) -> Iterator[Mailing]:
        """The mailings of a status, the earliest start first; with `start_until`, only those that start by then."""
        condition = None if start_until is None else self._model.start_at <= start_until
        with translated("mailings"):
            for row in self._model.query(str(status), condition, index_name="by_status"):
                yield mailing_of(row)

    def starting(self, status: MailingStatus, since: datetime, until: datetime, limit: int) -> Sequence[Mailing]:
        """Up to `limit` mailings of a status that start at `since` or later, but before `until`, the earliest first."""
        condition = self._model.start_at.between(since, until - timedelta(milliseconds=1))
        with translated("mailings"):
            rows = self._model.query(str(status), condition, index_name="by_status", limit=limit)
            return [mailing_of(row) for row in rows]

    def ids_with_status(self, status: MailingStatus) -> Iterator[tuple[str, bool]]:
        """The ids of all mailings of a status, each with whether its messages may wait for local hours."""
        names = ["mailing_id", "part", "window_policy"]
        with translated("mailings"):
            for row in self._model.query(str(status), index_name="by_status", attributes_to_get=names):
                yield row.mailing_id, row.window_policy == WindowPolicy.DEFER

    def first_of(self, status: MailingStatus, limit: int) -> Sequence[Mailing]:
        """Up to `limit` mailings of a status, the earliest start first."""
        with translated("mailings"):
            rows = self._model.query(str(status), index_name="by_status", limit=limit, page_size=limit)
            return [mailing_of(row) for row in rows]
