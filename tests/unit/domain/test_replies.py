"""Replies: keywords, and what makes two of them the same."""

from __future__ import annotations

import pytest

from chalicelib.domain.replies import Keyword, keyword_of, reference_of


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("STOP", Keyword.STOP),
        ("  stop!\n", Keyword.STOP),
        ("«Стоп».", Keyword.STOP),
        ("Unsubscribe", Keyword.STOP),
        ("START", Keyword.START),
        ("help?", Keyword.HELP),
        ("Please do not stop", None),
        ("stop it", None),
        ("yes", None),
        ("", None),
        ("!!!", None),
    ],
)
def test_a_keyword_is_the_whole_text(text: str, keyword: Keyword | None) -> None:
    assert keyword_of(text) is keyword


def test_a_reference_is_the_gateways_id_or_what_it_said() -> None:
    assert reference_of("in-1", "a") == reference_of("in-1", "b")
    assert reference_of(7, "a") != reference_of(8, "a")
    for none in ("", None, [], "i" * 201, "a\nb"):
        assert reference_of(none, "a") == reference_of(none, "a") != reference_of(none, "b")
    assert reference_of(reference_of("", "a"), "b") != reference_of("", "a")  # no id can look like a digest
