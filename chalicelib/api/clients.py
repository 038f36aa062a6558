"""/api/clients/: the directory of clients."""

from __future__ import annotations

from ..domain.clients import Client
from ..domain.errors import Conflict, NotFound
from ..web.clients import ClientBody, ClientListQuery, ClientPatch, ClientView, CountryQuery, PhoneNumber
from ..web.fields import Body, View, example
from ..web.request import Request
from .routing import Created, Routes

routes = Routes("clients")


class ClientPage(View):
    """A page of clients; `next` is the cursor of the next page.

    If `total_is_exact` is false, `total` may be too high: a client with several of the tags is counted for each, but
    listed once.
    """

    total: int
    total_is_exact: bool
    rows: list[ClientView]
    next: str | None


class PhoneBody(Body):
    """A phone number, in any common form."""

    model_config = example({"phone_number": "+79161234567"})

    phone_number: PhoneNumber


class FoundClient(View):
    """The client with a phone number and their id; `client` is null if nobody has the number.

    `id` is then the id of the client who had the number last, even if they have another number now or were deleted, so
    that you can find what was sent to them. If nobody ever had the number, it is the id that a new client would get.
    """

    id: str
    client: ClientView | None


def _path(client: Client) -> str:
    return f"/api/clients/{client.client_id}"


@routes.route("POST", "/api/clients", errors=(Conflict,))
def create_client(request: Request, query: CountryQuery, body: ClientBody) -> Created[ClientView]:
    """Add a client."""
    client = request.services.clients.create(body.fields(), query.country)
    return Created(ClientView.of(client), _path(client))


@routes.route("GET", "/api/clients")
def list_clients(request: Request, query: ClientListQuery) -> ClientPage:
    """List clients, all or those with certain tags and operators, or the one with an external id."""
    segment = query.segment()
    if query.external_id is not None:
        found = request.services.clients.find_external(query.external_id)
        rows = [ClientView.of(found)] if found and segment.matches(found) else []
        return ClientPage(total=len(rows), total_is_exact=True, rows=rows, next=None)
    clients, after = request.services.clients.list(segment, query.place(), query.limit)
    total = request.services.clients.total(segment)
    return ClientPage(
        total=total.count,
        total_is_exact=total.exact,
        rows=[ClientView.of(client) for client in clients],
        next=query.following(after),
    )


@routes.route("POST", "/api/clients/lookup")
def find_client(request: Request, query: CountryQuery, body: PhoneBody) -> FoundClient:
    """Find a client by their whole phone number. It is a POST so that the number is in no address and no log."""
    client_id, client = request.services.clients.find(body.phone_number, query.country)
    return FoundClient(id=client_id, client=ClientView.of(client) if client else None)


@routes.route("GET", "/api/clients/{client_id}", errors=(NotFound,))
def read_client(request: Request, client_id: str) -> ClientView:
    """Read one client."""
    return ClientView.of(request.services.clients.get(client_id))


@routes.route("PUT", "/api/clients/{client_id}", errors=(NotFound, Conflict))
def replace_client(request: Request, query: CountryQuery, client_id: str, body: ClientBody) -> ClientView:
    """Set all fields of a client. Their id stays the same if the phone number changes; messages not sent yet go to
    the new number.
    """
    return ClientView.of(request.services.clients.change(client_id, body.fields(), query.country))


@routes.route("PATCH", "/api/clients/{client_id}", errors=(NotFound, Conflict))
def change_client(request: Request, query: CountryQuery, client_id: str, body: ClientPatch) -> ClientView:
    """Change some fields of a client."""
    return ClientView.of(request.services.clients.revise(client_id, body.over, query.country))


@routes.route("POST", "/api/clients/{client_id}/reachable", errors=(NotFound, Conflict))
def mark_reachable(request: Request, client_id: str) -> ClientView:
    """Let an unreachable client get mailings again."""
    return ClientView.of(request.services.clients.mark_reachable(client_id))


@routes.route("DELETE", "/api/clients/{client_id}", errors=(NotFound, Conflict))
def delete_client(request: Request, client_id: str) -> None:
    """Delete a client. The messages sent to them are kept."""
    request.services.clients.delete(client_id)
