"""Recounts: whether a mailing may be over although its counts do not say so, because a sender was killed.

A recount finds what a killed sender wrote but did not count. Without this module a recount would only start when a tick
finds that the mailing has made no progress for a minute. Only mailings with doubtful counts are recounted, and only
near their end, so that others cost nothing more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from .mailings import MailingState

RECOUNT_AFTER = 3.0  # seconds until the first look, and between two looks
_NEARLY = 1000  # messages that may be open according to the counts; one killed sender had a hundred
_QUIET = timedelta(seconds=2)


def may_be_over(state: MailingState) -> bool:
    """Whether a recount may find that nothing is open, as soon as the mailing is quiet."""
    statistics = state.statistics
    return state.doubtful and statistics.dispatched and statistics.open <= _NEARLY


def is_quiet(state: MailingState, now: datetime) -> bool:
    """Whether all messages got hints, and nothing was counted for some seconds."""
    quiet = state.progress_at is None or not timedelta(0) <= now - state.progress_at < _QUIET
    return quiet and state.next_to_feed is None
