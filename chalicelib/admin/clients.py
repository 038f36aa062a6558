"""/admin/clients: the directory of clients; one client with all that was sent to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from urllib.parse import urlencode

from pydantic import Field, StrictStr

from ..domain.attributes import PREFIX, Value, value_of, word_of
from ..domain.clients import (
    OPTIONAL_FIELDS,
    TEXT_FIELDS,
    Client,
    ClientFields,
    check_operator,
    operator_of,
    zone,
)
from ..domain.errors import FieldError, Invalid, NotFound
from ..domain.faults import Fault
from ..domain.mailings import Mailing
from ..domain.messages import Message
from ..domain.segments import Segment
from ..domain.tags import MAX_TAG_LENGTH, cell_of, check_tag, tags_of
from ..web.clients import ClientBody
from ..web.exports import ClientExportQuery, clients_csv
from ..web.paging import PageQuery
from ..web.request import Text
from .client_actions import labels
from .forms import Form
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .search import FIELD, client_of
from .texts import _, wrong

pages = Pages()
_TAGS = 12  # tags that are offered
_REPLIES = 5  # on a client's page
_MAX_LINE = 80  # characters of a line in an error


class ClientsQuery(PageQuery):
    """A tag and an operator; "" means any, because forms send empty fields too."""

    tag: StrictStr = Field(default="", max_length=MAX_TAG_LENGTH * 2)
    operator: StrictStr = Field(default="", max_length=20)

    def segment(self) -> Segment:
        """The segment. Raises Invalid with the wrong field."""
        errors: list[FieldError] = []
        found: dict[str, tuple[str, ...]] = {}
        for name, value, check in (("tag", self.tag, check_tag), ("operator", self.operator.strip(), check_operator)):
            try:
                checked = check(value, name) if value else ""
                found[name] = (checked,) if checked else ()
            except Invalid as error:
                errors += error.errors
        if errors:
            raise Invalid(*errors)
        return Segment(found["tag"], found["operator"])

    @property
    def filters(self) -> dict[str, str]:
        """The filters of the list, as in its address."""
        return {name: value for name, value in (("tag", self.tag), ("operator", self.operator)) if value}

    @property
    def here(self) -> str:
        """The address of this page of the list."""
        return self._with("/admin/clients")

    @property
    def chosen(self) -> str:
        """The address for actions on clients of this page."""
        return self._with("/admin/clients/chosen")

    def _with(self, path: str) -> str:
        place = {"cursor": self.cursor} if self.cursor else {}
        values = urlencode({**self.filters, **place})
        return f"{path}?{values}" if values else path


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of one mailing for the client."""

    mailing: Mailing
    message: Message


@pages.get("/admin/clients")
def list_clients(request: PageRequest, query: ClientsQuery) -> Page:
    """Show the clients of a segment, all of them by default."""
    values = {"query": query, "first": not query.cursor, "found": [], "total": 0, "next": None, "tags": ()}
    values["labels"] = labels()
    try:
        segment = query.segment()
    except Invalid as error:
        return Page("clients/list.html", {**values, "form": request.form.refused(error, "")}, 422)
    clients = request.services.clients
    total = clients.count(segment)
    # If there are no clients, the sixteen shards need not be read.
    found, after = clients.list(segment, query.place(), query.limit) if total else ([], "")
    tags = () if query.filters or query.cursor else clients.tags(_TAGS)
    return Page(
        "clients/list.html", {**values, "found": found, "total": total, "next": query.following(after), "tags": tags}
    )


@pages.get("/admin/clients/export")
def export_clients(request: PageRequest, query: ClientExportQuery) -> Text:
    """Clients as CSV, page by page, as in the API; static/export.js joins the pages to one file."""
    return clients_csv(request, query, "/admin/clients/export")


@pages.post("/admin/clients/find", shows=list_clients)
def find_client(request: PageRequest) -> Redirect:
    """Go to the client with a phone number or an ID, or to the messages to it. The number is in no address."""
    client_id = client_of(request.services.clients, request.form.text(FIELD))
    try:
        request.services.clients.get(client_id)
    except NotFound:
        if not request.services.messages.history(client_id, None, "", 1).entries:
            text = _("belongs to no client, and nothing was ever sent to it")
            raise Invalid.of(FIELD, Fault.AS_TOLD, text=text) from None
    return Redirect(f"/admin/clients/{client_id}")


@pages.get("/admin/clients/new")
def new_client(request: PageRequest) -> Page:
    """Ask for a new client."""
    values = {"client": None, "zone": request.zone_name, "operator": "", "tags": "", "attributes": ""}
    return _form(values)


@pages.post("/admin/clients/new", shows=new_client)
def create_client(request: PageRequest) -> Redirect:
    """Add a client."""
    with _of_the_form():
        client = request.services.clients.create(_entered(request.form))
    return Redirect(f"/admin/clients/{client.client_id}", flash=_("The client was added."))


@pages.get("/admin/clients/{client_id}")
def show_client(request: PageRequest, query: PageQuery, client_id: str) -> Page:
    """Show one client and the messages to them, the newest first. A deleted client's messages are still shown."""
    try:
        client: Client | None = request.services.clients.get(client_id)
    except NotFound:
        client = None
    history = request.services.messages.history(client_id, None, query.place(), query.limit)
    if client is None and not history.entries and not query.cursor:
        raise NotFound(Fault.NO_SUCH_CLIENT, name=repr(client_id[:80]))
    values = {"history": [Sent(*entry) for entry in history.entries], "next": query.following(history.cursor)}
    clock: datetime | None = request.now.astimezone(zone(client.timezone)) if client else None
    replies = request.services.replies().latest_of(client_id, _REPLIES) if request.services.receipt_links.on else []
    return Page(
        "clients/client.html",
        {
            **values,
            "client": client,
            "client_id": client_id,
            "first": not query.cursor,
            "clock_there": clock,
            "replies": replies,
            "text_fields": TEXT_FIELDS,
        },
    )


@pages.get("/admin/clients/{client_id}/edit")
def edit_client(request: PageRequest, client_id: str) -> Page:
    """Show the form for changes."""
    client = request.services.clients.get(client_id)
    # An operator that came from the number changes with the number.
    operator = "" if client.operator == operator_of(client.phone_number) else client.operator
    attributes = "\n".join(f"{name}: {word_of(value)}" for name, value in client.attributes.items())
    tags = cell_of(client.tags, ", ")
    values = {
        "client": client,
        "zone": client.timezone,
        "operator": operator,
        "tags": tags,
        "attributes": attributes,
    }
    return _form(values)


@pages.post("/admin/clients/{client_id}/edit", shows=edit_client)
def change_client(request: PageRequest, client_id: str) -> Redirect:
    """Set all fields."""
    with _of_the_form():
        request.services.clients.change(client_id, _entered(request.form))
    return Redirect(f"/admin/clients/{client_id}", flash=_("Changes saved."))


@pages.post("/admin/clients/{client_id}/opt-out")
def opt_out(request: PageRequest, client_id: str) -> Redirect:
    """Opt the client out."""
    request.services.clients.opt_out(client_id, True)
    text = _(
        "The client has opted out and gets no more mailings. A message that is being sent right now still arrives."
    )
    return Redirect(f"/admin/clients/{client_id}", flash=text)


@pages.post("/admin/clients/{client_id}/opt-in")
def opt_in(request: PageRequest, client_id: str) -> Redirect:
    """Opt the client in again."""
    request.services.clients.opt_out(client_id, False)
    return Redirect(f"/admin/clients/{client_id}", flash=_("The client has opted in again."))


@pages.post("/admin/clients/{client_id}/reachable")
def mark_reachable(request: PageRequest, client_id: str) -> Redirect:
    """Let an unreachable client get mailings again."""
    request.services.clients.mark_reachable(client_id)
    return Redirect(f"/admin/clients/{client_id}", flash=_("The client gets mailings again."))


@pages.get("/admin/clients/{client_id}/delete")
def confirm_delete(request: PageRequest, client_id: str) -> Page:
    """Ask whether to delete a client."""
    return Page("clients/delete.html", {"client": request.services.clients.get(client_id)})


@pages.post("/admin/clients/{client_id}/delete", shows=confirm_delete)
def delete_client(request: PageRequest, client_id: str) -> Redirect:
    """Delete a client."""
    request.services.clients.delete(client_id)
    return Redirect("/admin/clients", flash=_("The client was deleted. The messages sent to them are kept."))


def _form(values: Mapping[str, object]) -> Page:
    longest = ClientBody.model_json_schema()["properties"]
    return Page(
        "clients/edit.html", {**values, "text_fields": [(name, longest[name]["maxLength"]) for name in TEXT_FIELDS]}
    )


def _entered(form: Form) -> ClientFields:
    """The fields in the form; empty ones have their defaults."""
    values: dict[str, object] = {"phone_number": form.text("phone_number")}
    for one in fields(ClientFields):
        if one.name in OPTIONAL_FIELDS:
            values[one.name] = form.flag(one.name) if one.default is False else form.text(one.name) or one.default
    values |= {"tags": tags_of(form.text("tags")), "attributes": _entered_attributes(form)}
    return form.into(ClientBody, values).fields()


def _entered_attributes(form: Form) -> dict[str, Value]:
    """The attributes in the form, one on each line. Raises Invalid if a line is not an attribute."""
    values: dict[str, Value] = {}
    for line in form.text("attributes").splitlines():
        name, colon, value = (part.strip() for part in line.partition(":"))
        if line.strip():
            if not colon or not name or not value:
                raise Invalid.of("attributes", Fault.ATTRIBUTE_LINE, line=line.strip()[:_MAX_LINE])
            values[name] = value_of(value)
    return values


@contextmanager
def _of_the_form() -> Iterator[None]:
    """Move errors of single tags or attributes to the field for all of them."""
    try:
        yield
    except Invalid as error:
        raise Invalid(*map(_at_the_field, error.errors)) from error


def _at_the_field(error: FieldError) -> FieldError:
    if error.field.startswith("tags."):
        return replace(error, field="tags")
    name = error.field.removeprefix(PREFIX)
    if name == error.field:
        return error
    return FieldError("attributes", Fault.AS_TOLD, {"text": f"{name}: {wrong(error)}"})
