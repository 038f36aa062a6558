"""Files of recipients: finds them, and makes sure that each is used by one mailing only."""

from __future__ import annotations

from datetime import datetime

from ..clock import SystemClock
from ..domain.attributes import PREFIX
from ..domain.errors import Invalid, NotFound
from ..domain.faults import Fault
from ..domain.recipient_files import TO_BE_USED_WITHIN, RecipientFile
from ..domain.segments import Segment
from ..storage.recipients import RecipientRepository
from .imports import ImportService

FIELD = "clients.recipients"


class RecipientFiles:
    """Reads files of recipients, and checks that a mailing may use one."""

    def __init__(self, imports: ImportService, recipients: RecipientRepository, clock: SystemClock) -> None:
        self._imports = imports
        self._recipients = recipients
        self._clock = clock

    def get(self, file_id: str) -> RecipientFile:
        """The file of an import. Raises Invalid if there is none, or if it has not been read to its end."""
        try:
            return self._recipients.find(file_id) or self._noted(file_id)
        except NotFound as error:
            raise Invalid.of(FIELD, Fault.NO_SUCH_RECIPIENTS) from error

    def _noted(self, file_id: str) -> RecipientFile:
        file = self._imports.file(file_id)
        if not file.first.for_mailing or file.import_id != file.first.file_id:
            raise Invalid.of(FIELD, Fault.NO_SUCH_RECIPIENTS)
        if not file.finished:
            raise Invalid.of(FIELD, Fault.RECIPIENTS_NOT_READY)
        names = [one.removeprefix(PREFIX) for one in file.first.columns.values() if one.startswith(PREFIX)]
        found = RecipientFile(file_id, file.first.file_name, file.done, tuple(dict.fromkeys(names)))
        self._recipients.note(found)
        return found

    def check(self, segment: Segment, end_at: datetime, mailing_id: str = "") -> None:
        """Raises Invalid if a mailing (a new one, or the one with this id) cannot go to the segment's file.

        A file belongs to one mailing. Another mailing can only go to people whom a filter finds by their outcome of
        that mailing.
        """
        if not segment.recipients:
            return
        file = self.get(segment.recipients)
        if end_at > file.kept_until:
            until = file.kept_until.isoformat(sep=" ", timespec="minutes")
            raise Invalid.of("end_time", Fault.RECIPIENTS_FORGOTTEN, until=until)
        asked = segment.filter.mailings if segment.filter else ()
        if asked and not file.mailing_id:
            raise Invalid.of(FIELD, Fault.RECIPIENTS_NARROWED)
        if file.mailing_id and file.mailing_id != mailing_id and file.mailing_id not in asked:
            raise Invalid.of(FIELD, Fault.RECIPIENTS_USED, name=file.mailing_id)
        if not file.mailing_id and self._clock.now() > file.created_at + TO_BE_USED_WITHIN:
            raise Invalid.of(FIELD, Fault.NO_SUCH_RECIPIENTS)
