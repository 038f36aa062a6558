"""The query of the audit log, which the API and the admin UI have in common."""

from __future__ import annotations

from pydantic import Field, StrictStr

from ..domain.audit import AuditAction, AuditFilter, AuditObject
from ..domain.users import MAX_USERNAME_LENGTH
from .fields import Moment
from .paging import PageQuery


class AuditQuery(PageQuery):
    """What a user did, what kind of thing was done, to what kind of object or to which one, from `since` on and before
    `until`.
    """

    user: StrictStr = Field(default="", max_length=MAX_USERNAME_LENGTH)
    action: AuditAction | None = None
    object: AuditObject | None = None
    id: StrictStr = Field(default="", max_length=200)
    since: Moment | None = None
    until: Moment | None = None

    @property
    def wanted(self) -> AuditFilter:
        """The filter."""
        return AuditFilter(
            by=self.user, action=self.action, object=self.object, object_id=self.id, since=self.since, until=self.until
        )
