"""The admin UI's catalogs against its texts: all texts are translated, nothing is left over, placeholders agree."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import polib
import pytest

from chalicelib import wording
from chalicelib.admin import languages, texts
from chalicelib.domain.errors import Conflict, Invalid, NotFound, ServiceError
from chalicelib.domain.faults import Fault
from chalicelib.domain.gateway_control import GatewayControl
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.statuses import MailingStatus
from chalicelib.web import problems
from tests.contract import marked_texts

PLACEHOLDER = re.compile(r"%\((\w+)\)s")
TRANSLATED = [language for language in languages.LANGUAGES if language != languages.DEFAULT]
FORMS = {"ru": 3}
SOURCES = "".join(
    path.read_text(encoding="utf-8") for path in Path(wording.__file__).parent.rglob("*.py") if path.name != "faults.py"
)
MOMENT = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="module", params=TRANSLATED)
def catalog(request: pytest.FixtureRequest) -> polib.POFile:
    """One language's catalog."""
    path = Path(texts.__file__).with_name("locale") / f"{request.param}.po"
    return polib.pofile(path.read_text(encoding="utf-8"), check_for_duplicates=True)


def _marked(catalog: polib.POFile) -> list[polib.POEntry]:
    return [entry for entry in catalog if not entry.msgctxt]


def test_every_marked_text_is_translated(catalog: polib.POFile) -> None:
    """Expects an entry for each text of templates and code; the failure says where the missing texts are used."""
    known = {(entry.msgid, entry.msgid_plural) for entry in _marked(catalog)}
    missing = {place: text for text, place in marked_texts.marked().items() if text not in known}
    assert missing == {}


def test_no_translation_is_left_over(catalog: polib.POFile) -> None:
    """Expects each entry to belong to a text that is still marked."""
    used = marked_texts.marked()
    assert [entry.msgid for entry in _marked(catalog) if (entry.msgid, entry.msgid_plural) not in used] == []


def test_a_translation_is_complete(catalog: polib.POFile) -> None:
    """Expects no empty, fuzzy or obsolete entry, and as many plural forms as the language has."""
    forms = FORMS[catalog.metadata["Language"]]
    assert f"nplurals={forms};" in catalog.metadata["Plural-Forms"]
    for entry in catalog:
        assert not entry.obsolete
        assert not entry.fuzzy
        written = list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]
        assert len(written) == (forms if entry.msgid_plural else 1), entry.msgid
        assert all(one.strip() for one in written), entry.msgid


def test_a_translation_has_the_placeholders_of_its_text(catalog: polib.POFile) -> None:
    """Expects the same %(name)s in both: one too many breaks the page, one too few loses a value."""
    for entry in catalog:
        wanted = set(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
        for form in entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]:
            assert set(PLACEHOLDER.findall(form)) == wanted, entry.msgid
            assert "%" not in PLACEHOLDER.sub("", form), entry.msgid


def test_only_literal_texts_are_marked() -> None:
    """Expects no variable to be marked, as no tool could find its text."""
    assert list(marked_texts.unmarked()) == []


KINDS = (*problems.PROBLEMS.values(), problems.UNEXPECTED)
KEYS = {
    "reason": {*wording.REASONS.values(), *wording.DETAILED.values()},
    "fault": {fault.value for fault in Fault},
    "problem": {kind.title for kind in KINDS} | {kind.meaning for kind in KINDS},
}


@pytest.mark.parametrize("context", KEYS)
def test_the_catalog_has_each_sentence_of_reasons_faults_and_problems(catalog: polib.POFile, context: str) -> None:
    """Expects a context for each kind and no other sentence: they are looked up as they are."""
    assert {entry.msgid for entry in catalog if entry.msgctxt == context} == KEYS[context]


def test_the_catalog_has_no_other_context(catalog: polib.POFile) -> None:
    """Expects no text that nothing looks up."""
    assert {entry.msgctxt for entry in catalog if entry.msgctxt} == set(KEYS)


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_is_raised_somewhere(fault: Fault) -> None:
    """Expects no sentence that nobody can get to see."""
    assert f"Fault.{fault.name}" in SOURCES


@pytest.mark.parametrize(
    ("error", "english", "russian"),
    [
        (NotFound(Fault.NO_SUCH_TOKEN), "there is no such token", "такого токена нет"),
        (
            Conflict(Fault.MAILING_NOT_DELETABLE, status=MailingStatus.RUNNING),
            "this mailing is running; cancel it before you delete it",
            "эта рассылка в состоянии «идёт»; отмените её, прежде чем удалять",
        ),
        (
            Invalid.of("password", Fault.LENGTH, least=10, most=256),
            "New password: must have 10 to 256 characters",
            "Новый пароль: должно быть от 10 до 256 символов",
        ),
        (Conflict(Fault.AS_TOLD, text="100 % as it is"), "100 % as it is", "100 % as it is"),
    ],
)
def test_an_error_is_shown_in_the_language_of_the_page(error: ServiceError, english: str, russian: str) -> None:
    """Expects values in their places, states by their names, and translated parts as they are."""
    assert texts.told(error) == english
    with languages.speaking("ru"):
        assert texts.told(error) == russian


@pytest.mark.parametrize(
    ("cause", "english", "russian"),
    [
        (Cause.http(503), "HTTP 503", "HTTP 503"),
        (Cause(Reason.NO_ANSWER), "no answer in time", "нет ответа вовремя"),
        (
            Cause.used_up(8, Cause(Reason.NO_ANSWER)),
            "all attempts failed (8), last: no answer in time",
            "все попытки не удались (8), последняя: нет ответа вовремя",
        ),
        (Cause(Reason.OTHER, "what nobody knows"), "what nobody knows", "what nobody knows"),
        (None, "", ""),
    ],
)
def test_a_reason_is_shown_in_the_language_of_the_page(cause: Cause | None, english: str, russian: str) -> None:
    """Expects its detail to be filled in, and the result of the last attempt to be translated too."""
    assert texts.reason(cause) == english
    with languages.speaking("ru"):
        assert texts.reason(cause) == russian


def test_the_gateways_own_words_are_kept_as_they_are() -> None:
    """Expects only the service's part to be translated, and an operator's own words not."""
    tripped = GatewayControl().tripped(MOMENT, 0, Cause(Reason.NO_ANSWER), "Pay first")
    held = GatewayControl().held_open(MOMENT, "anna", "no answer in time")
    with languages.speaking("ru"):
        assert texts.circuit_reason(tripped) == "нет ответа вовремя: Pay first"
        assert texts.circuit_reason(held) == "no answer in time"


def test_russian_plurals_have_their_forms() -> None:
    """Expects the forms of 1, 2, 5, 11, 21 and 112."""
    with languages.speaking("ru"):
        told = [texts.ngettext("%(n)s user", "%(n)s users", n, n=n) for n in (1, 2, 5, 11, 21, 112)]
    assert told == [
        "1 пользователь",
        "2 пользователя",
        "5 пользователей",
        "11 пользователей",
        "21 пользователь",
        "112 пользователей",
    ]


ENGINEERS_WORDS = re.compile(
    r"\b(ledgers?|hints?|circuits?|dead letters?|outcomes?|shards?|redrive|units? of|pumps?|ticks?|leases?"
    r"|put back|given up|tried again|go on|segments?|poison)\b",
    re.IGNORECASE,
)


def test_pages_use_the_words_of_operators() -> None:
    """Expects no word of engineers (docs/architecture.md has the word to use instead), and one word for a retry."""
    texts_of_pages = {text for pair in marked_texts.marked() for text in pair}
    told = {*texts_of_pages, *wording.REASONS.values(), *wording.DETAILED.values(), *(one.title for one in KINDS)}
    assert sorted(text for text in told if ENGINEERS_WORDS.search(text)) == []


@pytest.mark.parametrize("text", ["Send this dead letter again?", "Nothing was given up.", "2 units of dispatch"])
def test_a_word_of_engineers_is_noticed(text: str) -> None:
    """Expects the pattern to find what it is meant to find."""
    assert ENGINEERS_WORDS.search(text)
