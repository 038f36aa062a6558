"""The text that somebody was sent, made again from what their row of the ledger keeps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chalicelib.domain.clients import Contact
from chalicelib.domain.mailings import Mailing, Missing
from chalicelib.domain.messages import Attempt, Message, Outcome
from chalicelib.domain.personal_texts import text_for
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.sent_texts import MOST_BYTES, TOO_LARGE, NoText, telling, text_sent
from chalicelib.storage.bucket_rows import Bucket, Place, bucket_of_item
from tests.factories import AttemptFactory, MailingFactory, MessageFactory

NAMES = ("first_name", "city", "phone_number", "имя", "z")
PIECES = st.sampled_from(
    ["Hi ", "Привет, ", "\n", "{{z|}}", "{{#city}} in {{city}}{{/city}}", "{{#z}}yes{{/z}}"]
    + ["{{" + name + "}}" for name in NAMES]
    + ["{{" + name + "|words}}" for name in NAMES]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=8).map("".join)
# What has a meaning in a line of the ledger, and what has none.
NASTY = st.sampled_from([",", "/", "%2C", "%", "=", "!", "\n", "a,b/c%d", "{{city}}", "\x00", "😀", ""])
VALUES = NASTY | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
STOPPED = Cause(Reason.SENDER_STOPPED)


def in_the_ledger(message: Message) -> Message:
    """The message as it is read again, between two others."""
    place = Place(message.mailing_id, "00", 0)
    others = MessageFactory.build_batch(2, mailing_id=message.mailing_id)
    bucket = Bucket(place, {}).changed([others[0], message, others[1]], 0)
    kept = bucket_of_item(place.key | bucket.values)
    assert dict(kept.messages) == dict(bucket.messages)
    return kept.messages[message.client_id]


def sent(mailing: Mailing, contact: Contact) -> tuple[str, Message]:
    """What the gateway is given, and the message that it has accepted."""
    text = text_for(mailing, contact)
    row = MessageFactory(
        mailing_id=mailing.mailing_id, attempts=(AttemptFactory(),), values=text.kept, parts=text.parts, hinted=True
    )
    return text.text, row


@given(
    text=TEXTS,
    texts=st.dictionaries(st.sampled_from(["ru", "pt", "pt-BR"]), TEXTS),
    language=st.sampled_from(["", "ru", "ru-RU", "pt-BR", "de"]),
    values=st.dictionaries(st.sampled_from(NAMES), VALUES),
)
def test_what_is_read_afterwards_is_what_the_gateway_was_given(
    text: str, texts: dict[str, str], language: str, values: dict[str, str]
) -> None:
    """Expects it of every text, whatever stands in the values, unless these are too large."""
    mailing = MailingFactory(text=text, texts=tuple(texts.items()), missing=Missing.SEND_EMPTY)
    contact = Contact("+79160000001", "UTC", opted_out=False, language=language, attributes=values)  # type: ignore[arg-type]
    assume(text_for(mailing, contact).cause is None)  # nobody is sent an empty text
    given_text, row = sent(mailing, contact)
    read = in_the_ledger(row)
    if read.values == TOO_LARGE:
        assert sum(len(one.encode()) for one in values.values()) > MOST_BYTES - len("+79160000001pt-BR")
        assert text_sent(mailing, read) is NoText.TOO_LARGE
    else:
        assert text_sent(mailing, read) == given_text


@pytest.mark.parametrize(("length", "known"), [(300, True), (301, False)])
def test_values_are_kept_up_to_a_size(length: int, known: bool) -> None:
    mailing = MailingFactory(text="{{v}}")
    contact = Contact("+79160000001", "UTC", opted_out=False, attributes={"v": "x" * length})  # type: ignore[arg-type]
    given_text, row = sent(mailing, contact)
    assert text_sent(mailing, in_the_ledger(row)) == (given_text if known else NoText.TOO_LARGE)


def test_only_what_the_text_asks_for_is_kept() -> None:
    mailing = MailingFactory(text="Hi {{first_name}}", texts=(("ru", "Привет"),))
    values = {"first_name": "Anna", "city": "Riga"}
    kept = {
        language: sent(mailing, Contact("+7916", "UTC", False, language=language, attributes=values))[1].values  # type: ignore[arg-type]
        for language in ("de", "ru-RU")
    }
    assert kept == {"de": ("", "Anna"), "ru-RU": ("ru",)}


def test_a_plain_text_keeps_nothing_and_is_known() -> None:
    """Expects the line in the ledger to be what it was before there were values."""
    mailing = MailingFactory(text="Hello")
    row = MessageFactory(mailing_id=mailing.mailing_id, attempts=(AttemptFactory(),))
    place = Place(mailing.mailing_id, "00", 0)
    assert not Bucket(place, {}).changed([row], 0).values["messages"]["S"].endswith(("=", "!", ","))
    assert text_sent(mailing, in_the_ledger(row)) == "Hello"


ACCEPTED, UNKNOWN, FAILED = AttemptFactory(), AttemptFactory(unknown=True), AttemptFactory(failed=True)
LOST = replace(UNKNOWN, cause=STOPPED)
MISSING = AttemptFactory(outcome=Outcome.MISSING, http_status=None)


@pytest.mark.parametrize(
    ("attempts", "told"),
    [
        ((), None),
        ((MISSING,), None),
        ((FAILED,), FAILED),
        ((FAILED, ACCEPTED), ACCEPTED),
        ((UNKNOWN, FAILED), UNKNOWN),
        ((UNKNOWN, MISSING), UNKNOWN),
        ((UNKNOWN, LOST, FAILED), LOST),
        ((LOST, ACCEPTED), ACCEPTED),
    ],
)
def test_the_call_that_counts_is_the_last_that_may_have_been_taken(
    attempts: tuple[Attempt, ...], told: Attempt | None
) -> None:
    assert telling(attempts) is told


@pytest.mark.parametrize(
    ("attempts", "values", "text"),
    [
        ((), None, NoText.NOT_CALLED),
        ((MISSING,), ("", "Anna"), NoText.NOT_CALLED),
        ((ACCEPTED,), None, NoText.NOT_KEPT),
        ((ACCEPTED,), TOO_LARGE, NoText.TOO_LARGE),
        ((UNKNOWN, LOST), ("", "Anna"), NoText.SENDER_STOPPED),
        ((UNKNOWN, FAILED), ("", "Anna"), "Hi Anna"),
    ],
)
def test_what_is_not_known_has_its_reason(
    attempts: tuple[Attempt, ...], values: tuple[str, ...] | None, text: str
) -> None:
    mailing = MailingFactory(text="Hi {{first_name}}")
    row = MessageFactory(mailing_id=mailing.mailing_id, attempts=attempts, values=values)
    assert text_sent(mailing, row) == text
