"""Recounting: whether a mailing is over of which a sender was killed, though its counts do not say so.

What a sender has written and not counted is found by a recount. Without this, one is made when nothing has come of the
mailing for a minute and a tick finds that. Only mailings whose counts are in doubt are looked at, and only near their
end, so that others cost nothing more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from .mailings import MailingState

RECOUNT_AFTER = 3.0  # seconds until the first look, and between looks
_NEARLY = 1000  # messages that may be open by the counts; one killed sender has had a hundred
_QUIET = timedelta(seconds=2)


def may_be_over(state: MailingState) -> bool:
    """Whether a recount may find that nothing is open, once all is quiet."""
    statistics = state.statistics
    return state.doubtful and statistics.dispatched and statistics.open <= _NEARLY


def is_quiet(state: MailingState, now: datetime) -> bool:
    """Whether everybody has had a hint, and nothing has come of anybody for some seconds."""
    quiet = state.progress_at is None or not timedelta(0) <= now - state.progress_at < _QUIET
    return quiet and state.next_to_feed is None
