"""/admin/clients/chosen: changing several clients at once that were selected on a page of the list."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.errors import Invalid, Malformed
from ..domain.faults import Fault
from ..domain.tags import check_tag
from .client_actions import WITH_A_TAG, Action, actions, carry_out, counted
from .clients import ClientsQuery, list_clients
from .forms import Form
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _

pages = Pages()
MOST = 100
TAG = "chosen_tag"  # the field
SHOWN = 10  # clients whose numbers are shown in a question


@pages.post("/admin/clients/chosen", shows=list_clients)
def change_chosen(request: PageRequest, query: ClientsQuery) -> Page | Redirect:
    """Change the selected clients. Actions that are hard to undo ask first."""
    client_ids = _chosen(request.form)
    name = request.form.text("action")
    known = actions(_tag(request.form) if name in WITH_A_TAG else "")
    if name not in known:
        raise Malformed(Fault.FORM_UNREADABLE)
    action = known[name]
    if action.question and not request.form.flag("sure"):
        return _question(request, query, name, action, client_ids)
    changed, same, refused = carry_out(request.services.clients, action, client_ids)
    text = counted(action.done, changed)
    if action.same and same:
        text = f"{text} {counted(action.same, same)}"
    if refused:
        return Page("clients/outcome.html", {"text": text, "refused": refused, "back": query.here})
    return Redirect(query.here, flash=text)


def _chosen(form: Form) -> list[str]:
    """The ids of the selected clients, each once. Raises Invalid if there is none, or too many."""
    client_ids = list(dict.fromkeys([*form.texts("id"), *form.text("all").split()]))
    if not client_ids:
        raise Invalid.of("id", Fault.AS_TOLD, text=_("Select at least one client."))
    if len(client_ids) > MOST:
        raise Invalid.of("id", Fault.AS_TOLD, text=_("Select at most %(most)s clients.", most=MOST))
    return client_ids


def _tag(form: Form) -> str:
    """The tag that is added or removed. Raises Invalid if it is missing, or not a tag."""
    tag = check_tag(form.text(TAG), TAG)
    if not tag:
        raise Invalid.of(TAG, Fault.REQUIRED)
    return tag


def _question(request: PageRequest, query: ClientsQuery, name: str, action: Action, client_ids: Sequence[str]) -> Page:
    known = request.services.clients.get_many(client_ids)
    count = len(client_ids)
    values = {
        "question": counted(action.question or action.label, count),
        "label": counted(action.label, count),
        "warning": action.warning,
        "known": list(known.values())[:SHOWN],
        "others": count - min(len(known), SHOWN),
        "form_path": query.chosen,
        "values": {"action": name, "all": " ".join(client_ids), "sure": "true"},
        "back": query.here,
    }
    return Page("clients/question.html", values)
