"""/admin/mailings/{id}/schedule, launch, pause and so on: the question, with the number of people, and the action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..domain.errors import Conflict
from ..domain.faults import Fault
from ..domain.mailings import Mailing, MailingState
from ..domain.statuses import Action
from . import formats, sending_question
from .forms import Form
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .sending_question import changed_much
from .texts import _

pages = Pages()
# Actions with a question and a button at the top of a mailing; the others are elsewhere on the page.
_SENDS = (Action.SCHEDULE, Action.LAUNCH)
ASKED = (Action.SCHEDULE, Action.LAUNCH, Action.PAUSE, Action.RESUME, Action.CANCEL, Action.DELETE)


@dataclass(frozen=True, slots=True)
class People:
    """How many people an action concerns: `all` match or have a message, `sent` got it, `open` may still get it.

    If they are not `exact`, they are upper bounds.
    """

    all: int
    sent: int
    open: int
    exact: bool = True


def actions_of(mailing: Mailing) -> list[str]:
    """What can be done with a mailing now, the most likely first."""
    return [str(action) for action in mailing.state.actions if action in ASKED]


def _question(action: Action) -> Callable[[PageRequest, str], Page]:
    def ask(request: PageRequest, mailing_id: str) -> Page:
        if action in _SENDS:
            mailing = request.services.mailings.get(mailing_id)
            page = sending_question.sending(request.with_form(Form()), mailing, action)
            assert page  # noqa: S101 - nothing was answered yet
            return page
        state = request.services.mailings.state(mailing_id)
        values = {"action": action, "mailing": state.mailing, "people": _people(request, state)}
        return Page("mailings/confirm.html", values)

    ask.__name__, ask.__doc__ = f"confirm_{action}", f"Ask whether to {action} a mailing, and say whom it concerns."
    return ask


def _people(request: PageRequest, state: MailingState) -> People:
    if state.mailing.launched_at is None:
        if file_id := state.mailing.segment.recipients:
            count = request.services.recipients.get(file_id).count
            return People(count, 0, count)
        total = request.services.clients.total(state.mailing.segment)
        return People(total.count, 0, total.count, total.exact)
    counts = state.statistics.counts()
    return People(counts["total"], counts["sent"], counts["queued"] + counts["waiting"])


def _send(action: Action) -> Callable[[PageRequest, str], Page | Redirect]:
    def send(request: PageRequest, mailing_id: str) -> Page | Redirect:
        mailing = request.services.mailings.get(mailing_id)
        mailing.check(action)
        if page := sending_question.sending(request, mailing, action):
            return page
        actions = request.services.mailing_actions
        act = actions.launch if action is Action.LAUNCH else actions.schedule
        sent = act(mailing_id, mailing.revision)
        at_once = sent.start_at <= request.now + sending_question.SOON
        told = _("The mailing is starting now.") if at_once else _("The mailing was scheduled.")
        return Redirect(f"/admin/mailings/{mailing_id}", flash=told)

    send.__name__ = f"{action}_mailing"
    send.__doc__ = f"Do it: {action} the mailing, if the page says what was answered; else show it again."
    return send


def _act(action: Action) -> Callable[[PageRequest, str], Redirect]:
    def act(request: PageRequest, mailing_id: str) -> Redirect:
        if action is Action.RESUME:
            _check_people(request, mailing_id)
        getattr(request.services.mailing_actions, action)(mailing_id)
        told = {
            "pause": _("The mailing was paused."),
            "resume": _("The mailing was resumed."),
            "cancel": _("The mailing was cancelled."),
            "delete": _("The mailing was deleted."),
        }
        gone = action == "delete"
        return Redirect("/admin/mailings" if gone else f"/admin/mailings/{mailing_id}", flash=told[str(action)])

    act.__name__, act.__doc__ = f"{action}_mailing", f"Do it: {action} the mailing."
    return act


def _check_people(request: PageRequest, mailing_id: str) -> None:
    """Raises Conflict, so that the question is asked again, if the number of recipients has changed much."""
    told = request.form.text("people")
    if not told.isdecimal():
        return
    people = _people(request, request.services.mailings.state(mailing_id)).open
    if changed_much(int(told[:12]), people):
        before, now = formats.number(int(told[:12])), formats.number(people)
        raise Conflict(
            Fault.AS_TOLD,
            text=_(
                "The number of recipients changed from %(before)s to %(now)s. Check and confirm again.",
                before=before,
                now=now,
            ),
        )


for _action in ASKED:
    _path = f"/admin/mailings/{{mailing_id}}/{_action}"
    _ask = _question(_action)
    pages.get(_path)(_ask)
    pages.post(_path, shows=_ask)(_send(_action) if _action in _SENDS else _act(_action))
