"""Actions on several clients at once, using the service's methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..domain.clients import Client, ClientFields
from ..domain.errors import ServiceError, Unavailable
from ..services.clients import ClientService
from . import formats
from .answering import told
from .texts import _, ngettext

WITH_A_TAG = ("add-tag", "remove-tag")
_MOST_TOLD = 80  # characters of an invalid id in an error
Text = Callable[[int], str]  # the form of a text for a number, with %(n)s instead of the number


@dataclass(frozen=True, slots=True)
class Action:
    """An action on clients. `change` does it to one, and returns False if there was nothing to do.

    `done` and `same` are the texts for how many were changed or needed no change. A `question` is asked before, with
    the `warning`.
    """

    change: Callable[[ClientService, Client], bool]
    label: Text
    done: Text
    same: Text | None = None
    question: Text | None = None
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A client who was not changed, and why."""

    client_id: str
    name: str
    reason: str


def labels() -> Mapping[str, Sequence[str]]:
    """The texts of buttons by action, for one, few and many clients, with {} for their number."""
    return {name: [action.label(n).replace("%(n)s", "{}") for n in (1, 2, 5)] for name, action in actions().items()}


def actions(tag: str = "") -> dict[str, Action]:
    """The actions by the values of their buttons. `tag` is for the actions `WITH_A_TAG`."""
    return {
        "add-tag": Action(
            lambda clients, client: _set_tag(clients, client, tag, True),
            lambda n: ngettext("Add the tag to %(n)s person", "Add the tag to %(n)s people", n),
            lambda n: ngettext("%(n)s client got the tag.", "%(n)s clients got the tag.", n),
            lambda n: ngettext("%(n)s had it already.", "%(n)s had it already.", n),
        ),
        "remove-tag": Action(
            lambda clients, client: _set_tag(clients, client, tag, False),
            lambda n: ngettext("Remove the tag from %(n)s person", "Remove the tag from %(n)s people", n),
            lambda n: ngettext("%(n)s client lost the tag.", "%(n)s clients lost the tag.", n),
            lambda n: ngettext("%(n)s did not have it.", "%(n)s did not have it.", n),
        ),
        "opt-out": Action(
            change=_opt_out,
            label=lambda n: ngettext("Opt out %(n)s person", "Opt out %(n)s people", n),
            done=lambda n: ngettext("%(n)s client was opted out.", "%(n)s clients were opted out.", n),
            same=lambda n: ngettext("%(n)s had opted out already.", "%(n)s had opted out already.", n),
            question=lambda n: ngettext("Opt out %(n)s person?", "Opt out %(n)s people?", n),
            warning=_("They will get no more mailings until they are opted in again, one by one or by an import."),
        ),
        "delete": Action(
            change=_delete,
            label=lambda n: ngettext("Delete %(n)s person", "Delete %(n)s people", n),
            done=lambda n: ngettext("%(n)s client was deleted.", "%(n)s clients were deleted.", n),
            same=None,
            question=lambda n: ngettext("Delete %(n)s person?", "Delete %(n)s people?", n),
            warning=_(
                "They will get no more mailings, not even messages that are waiting now. Messages already sent are "
                "kept. To keep the clients but send them nothing, opt them out instead."
            ),
        ),
    }


def _set_tag(clients: ClientService, client: Client, tag: str, there: bool) -> bool:
    """Add a tag to a client as their last one, or remove it."""
    if (tag in client.tags) is there:
        return False

    def changed(now: Client) -> ClientFields:
        others = tuple(one for one in now.tags if one != tag)
        return replace(now.fields, tags=(*others, tag) if there else others)

    clients.revise(client.client_id, changed)
    return True


def _opt_out(clients: ClientService, client: Client) -> bool:
    if not client.opted_out:
        clients.opt_out(client.client_id, True)
    return not client.opted_out


def _delete(clients: ClientService, client: Client) -> bool:
    clients.delete(client.client_id)
    return True


def carry_out(clients: ClientService, action: Action, client_ids: Sequence[str]) -> tuple[int, int, list[Refused]]:
    """Carry out an action. Returns how many were changed, how many needed no change, and who was not changed.

    Stops if a table does not answer.
    """
    changed = same = 0
    refused: list[Refused] = []
    down: ServiceError | None = None
    for client_id in client_ids:
        name = client_id[:_MOST_TOLD]
        try:
            if down:
                raise down
            client = clients.get(client_id)
            name = client.phone_number
            if action.change(clients, client):
                changed += 1
            else:
                same += 1
        except ServiceError as error:
            down = error if isinstance(error, Unavailable) else None
            refused.append(Refused(client_id, name, told(error)))
    return changed, same, refused


def counted(text: Text, count: int) -> str:
    return text(count) % {"n": formats.number(count)}
