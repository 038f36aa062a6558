"""The text that a client was sent, made again from the mailing's text and the values kept with the message.

A mailing's text cannot be changed once somebody may have got it (domain/statuses.py), so the values are enough: first
the key of the text in `texts`, "" for `text`, then the values that it uses, in the order of their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from .mailings import Mailing
from .messages import Attempt, Message, Outcome
from .placeholders import parsed_text
from .reasons import Reason

MOST_BYTES = 300  # of a message's values; about nine messages are written together, and each KB costs a write unit
TOO_LARGE: tuple[str, ...] = ()  # instead of larger values


class NoText(StrEnum):
    """Why the text that a client was sent is not known.

    not_called: the gateway was not called. not_kept: the values were not kept. too_large: the values have more than 300
    bytes. sender_stopped: the sender stopped before it saved the outcome of the call.
    """

    NOT_CALLED = "not_called"
    NOT_KEPT = "not_kept"
    TOO_LARGE = "too_large"
    SENDER_STOPPED = "sender_stopped"


def values_kept(mailing: Mailing, language: str, values: Mapping[str, str]) -> tuple[str, ...] | None:
    """What to keep with a message to a client with this language and these values, None if nothing.

    The values are those that the text uses, in the order of their names.
    """
    if not mailing.keep_values:
        return None
    kept = (mailing.language_for(language), *values.values())
    return kept if len("".join(kept).encode()) <= MOST_BYTES else TOO_LARGE


def telling(attempts: Sequence[Attempt]) -> Attempt | None:
    """The call whose text counts: the last one that the gateway may have taken, else the last one, if any."""
    calls = [one for one in attempts if not one.is_look_up]
    taken = [one for one in calls if one.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)]
    return next(reversed(taken or calls), None)


def text_sent(mailing: Mailing, message: Message) -> str | NoText:
    """The text of the call that counts, or why it is not known."""
    call = telling(message.attempts)
    if call is None:
        return NoText.NOT_CALLED
    if not mailing.personal:
        return mailing.text
    if call.cause is not None and call.cause.reason is Reason.SENDER_STOPPED:
        return NoText.SENDER_STOPPED
    if message.values is None:
        return NoText.NOT_KEPT
    if message.values == TOO_LARGE:
        return NoText.TOO_LARGE
    key, *values = message.values
    template = parsed_text(mailing.text_by(key))
    return template.fill(dict(zip(template.names, values, strict=True)))[0]
