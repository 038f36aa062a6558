"""The reason in every answer of the API."""

from __future__ import annotations

from typing import TypedDict

from ..domain.reasons import Cause, Reason
from ..wording import reason_text


class Reasoned(TypedDict):
    """The fields of an answer that give the reason: its text, its code (docs/api.md) and its detail."""

    reason: str
    reason_code: Reason | None
    reason_detail: str


def reasoned(cause: Cause | None) -> Reasoned:
    """The fields for a cause; empty ones if there is none."""
    if cause is None:
        return Reasoned(reason="", reason_code=None, reason_detail="")
    return Reasoned(reason=reason_text(cause), reason_code=cause.reason, reason_detail=cause.detail)
