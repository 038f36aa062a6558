"""A sender's cache of mailings: at most a second old."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta

from ...clock import SystemClock
from ...domain.errors import NotFound
from ...domain.mailings import MailingState
from ...storage.mailings import MailingRepository
from ..at_once import AtOnce

# A pause must stop calls within 2 s. A state is valid for this long; the rest of the time is for the read itself and
# for the time between reading and calling.
MAX_AGE = timedelta(seconds=1)
_KEPT = 200


class MailingCache:
    """Mailings by id, read again when they are older than a second. Used by several threads at once."""

    def __init__(self, mailings: MailingRepository, at_once: AtOnce, clock: SystemClock) -> None:
        self._mailings = mailings
        self._at_once = at_once
        self._clock = clock
        self._known: OrderedDict[str, tuple[datetime, MailingState | None]] = OrderedDict()
        self._asking = threading.Lock()
        self._keeping = threading.Lock()

    def get(self, mailing_id: str, since: datetime | None = None) -> MailingState | None:
        """The mailing's state, at most a second old or read at `since` or later; None if it was deleted."""
        since = self._clock.now() - MAX_AGE if since is None else since
        if found := self._find(mailing_id, since):
            return found[1]
        with self._asking:  # so that fifty threads whose knowledge runs out ask once
            found = self._find(mailing_id, since)
            return found[1] if found else self.refresh(mailing_id)

    def get_all(self, mailing_ids: Iterable[str]) -> dict[str, MailingState | None]:
        """Several mailings, each as `get` answers; those that must be read are read at the same time."""
        since = self._clock.now() - MAX_AGE
        found = {one: self._find(one, since) for one in mailing_ids}
        unknown = [one for one, known in found.items() if known is None]
        read = dict(zip(unknown, self._at_once.map(self.refresh, unknown), strict=True))
        return {one: known[1] if known else read[one] for one, known in found.items()}

    def _find(self, mailing_id: str, since: datetime) -> tuple[datetime, MailingState | None] | None:
        """What is known of a mailing since then."""
        known = self._known.get(mailing_id)
        # A clock may be set back.
        return known if known and since < known[0] <= self._clock.now() + MAX_AGE else None

    def refresh(self, mailing_id: str) -> MailingState | None:
        """The mailing's state, read now."""
        asked_at = self._clock.now()
        try:
            state: MailingState | None = self._mailings.state(mailing_id)
        except NotFound:
            state = None
        with self._keeping:
            self._known[mailing_id] = (asked_at, state)
            self._known.move_to_end(mailing_id)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return state
