"""/admin/mailings/{id}: a mailing with its state, results and recipients, and retrying failed messages."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import StrictStr

from ..domain.errors import Invalid, NotFound
from ..domain.faults import Fault
from ..domain.mailing_counters import MailingCounters
from ..domain.mailings import Mailing, MailingState
from ..domain.messages import Message, message_id_for
from ..domain.progress import Progress, progress_of
from ..domain.results import result_of
from ..domain.sms import sms_parts
from ..domain.statuses import MessageStatus
from ..web.exports import MessageExportQuery, messages_csv
from ..web.paging import PageQuery
from ..web.request import Text
from . import charts, formats, mailing_results
from .mailing_actions import actions_of
from .message_rows import named_statuses, rows_of
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .search import client_of
from .texts import _, ngettext

pages = Pages()
_ASKED = 5  # mailings whose titles are read; each costs a read


class LedgerQuery(PageQuery):
    """A status, "" for any: a form sends empty fields too."""

    status: MessageStatus | Literal[""] = ""


class ExportQuery(MessageExportQuery):
    """The query of the export; the mailing is in the path."""

    mailing: StrictStr = ""


class NowQuery(LedgerQuery):
    """What the page shows; `listed` is "1" if it lists recipients."""

    listed: Literal["1", ""] = ""

    @property
    def _scope(self) -> str:
        return LedgerQuery(status=self.status)._scope


@dataclass(frozen=True, slots=True)
class Shown:
    """A mailing at one moment, for the template."""

    state: MailingState
    counters: MailingCounters
    progress: Progress

    @property
    def over(self) -> bool:
        """Whether nothing changes any more without an operator; False while the last messages are being closed."""
        mailing = self.state.mailing
        begun = mailing.launched_at is not None
        return mailing.status.ended and (bool(mailing.final) or not begun)

    def empty(self, status: str) -> bool:
        """Whether certainly no message has this status, so that the ledger need not be searched."""
        counts = self.progress.counts
        return not counts["total"] or (self.over and bool(status) and not counts.get(status))

    @property
    def expired(self) -> int:
        """An upper bound of the messages that expired at an end that was moved since."""
        return self.progress.counts["expired"] if self.state.mailing.widened_at else 0


@pages.get("/admin/mailings/{mailing_id}")
def show_mailing(request: PageRequest, query: LedgerQuery, mailing_id: str) -> Page:
    """Show one mailing with a page of its ledger."""
    shown = _look(request, mailing_id)
    values = {**_values(request, shown), **_people(request, shown, query), "sms": sms_parts(shown.state.mailing.text)}
    return Page("mailings/page.html", values)


@pages.get("/admin/mailings/{mailing_id}/now")
def show_now(request: PageRequest, query: NowQuery, mailing_id: str) -> Page:
    """Everything on the page that changes, as of one moment; the page asks for it every few seconds."""
    shown = _look(request, mailing_id)
    values = {**_values(request, shown), **_people(request, shown, query), "listed": query.listed}
    return Page("mailings/moving.html", values)


def _people(request: PageRequest, shown: Shown, query: LedgerQuery) -> Mapping[str, Any]:
    """A page of the ledger."""
    messages: list[Message] = []
    after = ""
    if not shown.empty(query.status):
        status = query.status or None
        mailing_id = shown.state.mailing.mailing_id
        messages, after = request.services.messages.list(mailing_id, status, query.place(), query.limit)
    return {
        "rows": rows_of(messages),
        "query": query,
        "next": query.following(after),
        "first": not query.cursor,
        "statuses": named_statuses(shown.progress.counts),
    }


@pages.post("/admin/mailings/{mailing_id}/find", shows=show_mailing)
def find_message(request: PageRequest, mailing_id: str) -> Redirect:
    """Go to the message to a client, found by phone number, which appears in no address, or by id."""
    message_id = message_id_for(
        request.services.mailings.get(mailing_id).mailing_id,
        client_of(request.services.clients, request.form.text("sought")),
    )
    try:
        request.services.messages.get(message_id)
    except NotFound as error:
        raise Invalid.of("sought", Fault.AS_TOLD, text=_("does not belong to a recipient of this mailing")) from error
    return Redirect(f"/admin/messages/{message_id}")


@pages.get("/admin/mailings/{mailing_id}/export")
def export_messages(request: PageRequest, query: ExportQuery, mailing_id: str) -> Text:
    """The ledger as CSV, page by page, as in the API; static/export.js joins the pages to one file."""
    query = query.model_copy(update={"mailing": mailing_id})
    return messages_csv(request, query, f"/admin/mailings/{mailing_id}/export")


@pages.get("/admin/mailings/{mailing_id}/retry")
def confirm_retry(request: PageRequest, mailing_id: str) -> Page:
    """Ask what to retry."""
    shown = _look(request, mailing_id)
    return Page("mailings/retry.html", {**_values(request, shown), "counts": shown.progress.counts})


@pages.post("/admin/mailings/{mailing_id}/retry", shows=confirm_retry)
def retry(request: PageRequest, mailing_id: str) -> Redirect:
    """Retry failed messages; those that may have been sent only if the operator asked for it."""
    unknown = request.form.flag("unknown")
    shown = _look(request, mailing_id)
    counts = shown.progress.counts
    if not counts["failed"] and not unknown and not shown.expired:
        raise Invalid.of("unknown", Fault.AS_TOLD, text=_("check this box to retry: no other messages have failed"))
    request.services.mailing_actions.retry_failed(mailing_id, unknown=unknown)
    n = counts["failed"] + (counts["unknown"] if unknown else 0)
    text = (
        _("The mailing was resumed.")
        if shown.expired
        else ngettext("%(n)s message is being retried.", "%(n)s messages are being retried.", n, n=formats.number(n))
    )
    return Redirect(f"/admin/mailings/{mailing_id}", flash=text)


def _look(request: PageRequest, mailing_id: str) -> Shown:
    state, counters = request.services.statistics.detail(mailing_id)
    return Shown(
        state, counters, progress_of(state, counters, request.services.gateways.stops_known(state.mailing), request.now)
    )


def _asked(request: PageRequest, mailing: Mailing) -> dict[str, str]:
    """The titles of some mailings in its filter, as far as they exist."""
    found: dict[str, str] = {}
    for mailing_id in sorted(mailing.segment.filter.mailings)[:_ASKED] if mailing.segment.filter else ():
        with suppress(NotFound):
            found[mailing_id] = request.services.mailings.get(mailing_id).title
    return found


def _values(request: PageRequest, shown: Shown) -> Mapping[str, Any]:
    state, counters = shown.state, shown.counters
    told = request.services.statistics.deliveries(state, counters)
    parts = request.services.statistics.parts(state, counters)
    return {
        "shown": shown,
        "mailing": state.mailing,
        "spending": state.spending,
        "currency": request.services.prices().get().currency if state.spending else "",
        "actions": actions_of(state.mailing),
        "asked": _asked(request, state.mailing),
        "progress": shown.progress,
        "maybe_twice": 0 if request.services.gateways.capabilities().recognises_ids else counters.maybe_twice,
        "result": result_of(state, counters, request.now, told),
        "chart": mailing_results.chart(request, counters),
        "reasons": mailing_results.reasons(counters),
        "told": told,
        "sent_parts": sum((parts or {}).values()),
        "delivery": mailing_results.delivery(told) if told else None,
        "undelivered": mailing_results.undelivered(told) if told else None,
        "events": mailing_results.events(request, state.mailing, counters),
        "shares": charts.shares,
    }
