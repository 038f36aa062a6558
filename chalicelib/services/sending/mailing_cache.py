"""A sender's cache of mailings: at most a second old."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.errors import NotFound
from ...domain.mailings import MailingState
from ...storage.mailings import MailingRepository

# A pause must stop calls within 2 s. A state is valid for this long; the rest of the time is for the read itself and
# for the time between reading and calling.
MAX_AGE = timedelta(seconds=1)
_KEPT = 200


class MailingCache:
    """Mailings by id, read again when they are older than a second. Used by several threads at once."""

    def __init__(self, mailings: MailingRepository, clock: SystemClock) -> None:
        self._mailings = mailings
        self._clock = clock
        self._known: OrderedDict[str, tuple[datetime, MailingState | None]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, mailing_id: str, since: datetime | None = None) -> MailingState | None:
        """The mailing's state, at most a second old or read at `since` or later; None if it was deleted."""
        since = self._clock.now() - MAX_AGE if since is None else since
        known = self._known.get(mailing_id)
        if known and since < known[0] <= self._clock.now() + MAX_AGE:  # a clock may be set back
            return known[1]
        with self._lock:  # so that fifty threads with an outdated state read it once
            known = self._known.get(mailing_id)
            if known and since < known[0] <= self._clock.now() + MAX_AGE:
                return known[1]
            return self._read(mailing_id)

    def refresh(self, mailing_id: str) -> MailingState | None:
        """The mailing's state, read now."""
        with self._lock:
            return self._read(mailing_id)

    def _read(self, mailing_id: str) -> MailingState | None:
        asked_at = self._clock.now()
        try:
            state: MailingState | None = self._mailings.state(mailing_id)
        except NotFound:
            state = None
        self._known[mailing_id] = (asked_at, state)
        self._known.move_to_end(mailing_id)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return state
