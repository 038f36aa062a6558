"""Renders templates to pages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from .. import __version__
from ..domain.excerpts import excerpt
from ..domain.statuses import IN_TROUBLE, TERMINAL, MessageStatus
from . import assets, formats, texts
from .filter_form import in_words
from .languages import LANGUAGES
from .page_request import PageRequest
from .texts import _

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_TEMPLATES = Path(__file__).with_name("templates")
# Statuses in order: first those that people look for, then open ones, then other ends.
_FIRST = ("sent", *(str(status) for status in MessageStatus if status.in_trouble), "waiting", "queued")
_COUNTED = (*_FIRST, *(name for name in TERMINAL if name not in _FIRST))
_CELL = re.compile("<(tr|td|th)\\b")
_OTHER_ENDINGS = tuple(name for name in TERMINAL if name not in ("sent", "failed"))


def render(template: str, request: PageRequest, values: Mapping[str, Any]) -> str:
    """Render a template with its values, and those of every page."""
    common = {
        "request": request,
        "form": request.form,
        "link": request.link,
        "asset": lambda name: request.link(assets.path_of(name)),
        "languages": LANGUAGES,
        "now": request.now,
        "sending": cache(request.sending),
        "version": __version__,
        "status_name": texts.status_name,
        "worker_name": texts.worker_name,
        "field_name": texts.field_name,
        "field_hint": texts.field_hint,
        "change_name": texts.change_name,
    }
    return environment().get_template(template).render({**common, **values})


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates of this package."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only who shows a page needs it

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(  # type: ignore[attr-defined]
        texts.gettext, texts.ngettext, newstyle=True
    )
    made.globals |= {"counted": _COUNTED, "other_endings": _OTHER_ENDINGS, "in_trouble": IN_TROUBLE}
    made.filters["paused_for"] = texts.paused_for
    made.filters["wrong"] = texts.wrong
    made.filters["reason"] = texts.reason
    made.filters["left_out"] = texts.left_out
    made.filters["circuit_reason"] = texts.circuit_reason
    made.filters["number"] = formats.number
    made.filters["dollars"] = formats.dollars
    made.filters["clock"] = formats.clock
    made.filters["day"] = formats.day
    made.filters["span"] = span
    made.filters["pace"] = formats.pace
    made.filters["excerpt"] = excerpt
    made.filters["moment"] = datetime.fromisoformat
    made.filters["asked"] = lambda query: urlencode(query, doseq=True)
    made.filters["named_cells"] = named_cells
    made.globals["conditions_of"] = in_words
    return made


def named_cells(rows: Markup, columns: Sequence[str | list[str]]) -> Markup:
    """The rows of a table, with the column's name at each cell, for small screens on which a row is a card."""
    from markupsafe import Markup, escape  # only who shows a page needs it

    names = [column if isinstance(column, str) else column[0] for column in columns]
    named = [f' data-label="{escape(name)}"' if name and "<" not in name else "" for name in names]
    place = 0

    def name(tag: re.Match[str]) -> str:
        nonlocal place
        if tag[1] == "tr":
            place = -1
        place += 1
        return tag[0] if tag[1] == "tr" or place > len(named) else tag[0] + named[place - 1]

    return Markup(_CELL.sub(name, rows))  # noqa: S704 - the rows as they were, and names that are escaped


def span(duration: timedelta) -> str:
    """A duration in its two largest units; the second one is left out if it is zero."""
    seconds = max(0, round(duration.total_seconds()))
    if seconds < 60:
        return _("%(n)s s", n=seconds)
    minutes = round(seconds / 60)
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    if days:
        parts = [_("%(n)s d", n=formats.number(days)), _("%(n)s h", n=hours) if hours else ""]
    else:
        parts = [_("%(n)s h", n=hours) if hours else "", _("%(n)s min", n=rest) if rest else ""]
    return " ".join(part for part in parts if part)
