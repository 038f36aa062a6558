"""/api/clients/: the directory of clients."""

from __future__ import annotations

from pydantic import StrictBool

from ..domain.clients import Client, operator_of
from ..domain.errors import Conflict, NotFound
from ..services.clients import ClientFields
from ..web.bodies import ClientBody, ClientQuery, PhoneNumber, Tag, TimeZone
from ..web.fields import Body, MomentOut, OperatorCode, View, example
from ..web.request import Request
from .routing import Created, Routes

routes = Routes("clients")


class ClientPatch(Body):
    """What is to change of a client; what is absent stays."""

    model_config = example({"tag": "vip"})

    phone_number: PhoneNumber = ""
    operator: OperatorCode | None = None
    tag: Tag = ""
    timezone: TimeZone = ""
    opted_out: StrictBool = False

    def over(self, client: Client) -> ClientFields:
        """The client's fields with these in their place. An operator that came from the number follows the number."""
        operator: str | None = client.operator
        if "phone_number" in self.model_fields_set and client.operator == operator_of(client.phone_number):
            operator = None
        current = {
            "phone_number": client.phone_number,
            "operator": operator,
            "tag": client.tag,
            "timezone": client.timezone,
            "opted_out": client.opted_out,
        }
        return ClientFields(**(current | self.model_dump(exclude_unset=True)))


class ClientView(View):
    """A client as it is answered. `operator` is 3 digits as text, null where it is not known."""

    id: str
    phone_number: str
    operator: str | None
    tag: str
    timezone: str
    opted_out: bool
    created_at: MomentOut
    updated_at: MomentOut

    @classmethod
    def of(cls, client: Client) -> ClientView:
        return cls(
            id=client.client_id,
            phone_number=client.phone_number,
            operator=client.operator or None,
            tag=client.tag,
            timezone=client.timezone,
            opted_out=client.opted_out,
            created_at=client.created_at,
            updated_at=client.updated_at,
        )


class ClientPage(View):
    """A page of clients; `next` is the cursor of the one after it."""

    total: int
    rows: list[ClientView]
    next: str | None


class PhoneBody(Body):
    """A phone number, however it is written."""

    model_config = example({"phone_number": "+79161234567"})

    phone_number: PhoneNumber


class FoundClient(View):
    """The client with a phone number and their id; `client` is null if nobody in the directory has the number.

    `id` is then that of who had the number last, who may have another one now or be deleted: with it what was sent to
    them is found. Of a number that nobody had it is the id that a client with it would get.
    """

    id: str
    client: ClientView | None


def _path(client: Client) -> str:
    return f"/api/clients/{client.client_id}"


@routes.route("POST", "/api/clients", errors=(Conflict,))
def create_client(request: Request, body: ClientBody) -> Created[ClientView]:
    """Add a client to the directory."""
    client = request.services.clients.create(body.fields())
    return Created(ClientView.of(client), _path(client))


@routes.route("GET", "/api/clients")
def list_clients(request: Request, query: ClientQuery) -> ClientPage:
    """List the clients of a segment."""
    segment = query.segment()
    clients, after = request.services.clients.list(segment, query.place(), query.limit)
    return ClientPage(
        total=request.services.clients.count(segment),
        rows=[ClientView.of(client) for client in clients],
        next=query.following(after),
    )


@routes.route("POST", "/api/clients/lookup")
def find_client(request: Request, body: PhoneBody) -> FoundClient:
    """Find a client by the whole phone number. By POST, so that the number stands in no address and in no log."""
    client_id, client = request.services.clients.find(body.phone_number)
    return FoundClient(id=client_id, client=ClientView.of(client) if client else None)


@routes.route("GET", "/api/clients/{client_id}", errors=(NotFound,))
def read_client(request: Request, client_id: str) -> ClientView:
    """Read one client."""
    return ClientView.of(request.services.clients.get(client_id))


@routes.route("PUT", "/api/clients/{client_id}", errors=(NotFound, Conflict))
def replace_client(request: Request, client_id: str, body: ClientBody) -> ClientView:
    """Set all fields of a client. The id stays, also with another phone number; what is still to be sent goes there."""
    return ClientView.of(request.services.clients.change(client_id, body.fields()))


@routes.route("PATCH", "/api/clients/{client_id}", errors=(NotFound, Conflict))
def change_client(request: Request, client_id: str, body: ClientPatch) -> ClientView:
    """Change some fields of a client."""
    return ClientView.of(request.services.clients.revise(client_id, body.over))


@routes.route("DELETE", "/api/clients/{client_id}", errors=(NotFound, Conflict))
def delete_client(request: Request, client_id: str) -> None:
    """Remove a client from the directory. Its messages stay in the ledger."""
    request.services.clients.delete(client_id)
