"""What somebody was sent, made again afterwards from the mailing's text and the values that are kept with the message.

A mailing's text stays as it is once anybody may have got it (domain/statuses.py), so the values are enough: the key of
the text among those by language, "" for `text`, and then those that the text asks for, in the order of their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from .mailings import Mailing
from .messages import Attempt, Message, Outcome
from .placeholders import parsed_text
from .reasons import Reason

MOST_BYTES = 300  # of the values of a message; about nine messages are written together, and each KB costs a unit
TOO_LARGE: tuple[str, ...] = ()  # in the place of values that have more


class NoText(StrEnum):
    """Why it is not known what somebody was sent.

    not_called: the gateway was not called for the message. not_kept: values are not kept, or were not at the time.
    too_large: they have more than 300 bytes. sender_stopped: the sender stopped before it saved the result of the call.
    """

    NOT_CALLED = "not_called"
    NOT_KEPT = "not_kept"
    TOO_LARGE = "too_large"
    SENDER_STOPPED = "sender_stopped"


def values_kept(mailing: Mailing, language: str, values: Mapping[str, str]) -> tuple[str, ...] | None:
    """What is to be kept with a message to who reads this language and has these values; None for nothing.

    The values are those that the text asks for, in the order of their names.
    """
    if not mailing.keep_values:
        return None
    kept = (mailing.language_for(language), *values.values())
    return kept if len("".join(kept).encode()) <= MOST_BYTES else TOO_LARGE


def telling(attempts: Sequence[Attempt]) -> Attempt | None:
    """The call whose text counts: the last that the gateway may have taken, or else the last; None if there is none."""
    calls = [one for one in attempts if not one.is_look_up]
    taken = [one for one in calls if one.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)]
    return next(reversed(taken or calls), None)


def text_sent(mailing: Mailing, message: Message) -> str | NoText:
    """The text of the call that counts, or why it cannot be told."""
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
