"""Routes from functions: annotations say what a function reads and answers, and errors become problems."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from chalice.app import Blueprint, Response
from chalice.app import Request as ChaliceRequest
from pydantic import BaseModel

from .. import bootstrap
from ..domain.errors import Forbidden, ServiceError
from ..domain.faults import Fault
from ..domain.file_texts import FileText
from ..domain.users import Role
from ..observability import logger, name_user
from ..web import parsing, problems
from ..web.instrumentation import served
from ..web.request import EVERYBODY, Request, Text
from .authentication import principal_of

T = TypeVar("T", bound=BaseModel)
Handler = Callable[..., Any]
_Headers = dict[str, str | list[str]]
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class SeeOther(Exception):
    """The requested resource is at another path, which the exception has, with the stage's prefix."""


@dataclass(frozen=True, slots=True)
class Created(Generic[T]):
    """The answer 201: the created object and its path."""

    body: T
    path: str


@dataclass(frozen=True, slots=True)
class Header:
    """A documented header of a request or an answer; `schema` is JSON Schema."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One route and method: everything that serving and documenting it needs."""

    method: str
    path: str
    handler: Handler
    tag: str
    roles: frozenset[Role] | None
    errors: tuple[type[ServiceError], ...]
    consumes: str
    produces: str
    max_bytes: int
    reads: tuple[Header, ...]
    answers: tuple[Header, ...]
    hints: dict[str, Any]

    @property
    def body_type(self) -> Any:
        return self.hints.get("body")

    @property
    def body_may_be_empty(self) -> bool:
        """Whether a POST may have no body at all, because no field is required, such as to pause sending in a hurry."""
        model = self.body_type
        if self.method != "POST" or not (inspect.isclass(model) and issubclass(model, BaseModel)):
            return False
        return not any(one.is_required() for one in model.model_fields.values())

    @property
    def query_type(self) -> type[BaseModel] | None:
        return self.hints.get("query")

    @property
    def result_type(self) -> Any:
        return self.hints["return"]

    @property
    def name(self) -> str:
        return self.handler.__name__

    @property
    def parameters(self) -> list[str]:
        """The names of parameters in the path, in order."""
        return re.findall(r"{(\w+)}", self.path)


class Routes:
    """The routes of one resource.

    A handler takes a Request, the parameters of the path as texts, and optionally `body` and `query`, models that the
    request is read into. It returns a model (200), Created (201), Text (200) or None (204).
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.operations: list[Operation] = []

    def route(
        self,
        method: str,
        path: str,
        *,
        roles: frozenset[Role] | None = EVERYBODY,
        errors: tuple[type[ServiceError], ...] = (),
        consumes: str = parsing.JSON,
        produces: str = parsing.JSON,
        max_bytes: int = parsing.MAX_JSON,
        reads: tuple[Header, ...] = (),
        answers: tuple[Header, ...] = (),
    ) -> Callable[[Handler], Handler]:
        """Serve a method of a path. `roles` None means without a token. `errors` are its own errors.

        `consumes` and `produces` are the media types of its body and of its successful answer, `reads` and `answers`
        the headers besides those of every route.
        """

        def register(handler: Handler) -> Handler:
            self.operations.append(
                Operation(
                    method=method,
                    path=path,
                    handler=handler,
                    tag=self.tag,
                    roles=roles,
                    errors=errors,
                    consumes=consumes,
                    produces=produces,
                    max_bytes=max_bytes,
                    reads=reads,
                    answers=answers,
                    hints=typing.get_type_hints(handler),
                )
            )
            return handler

        return register

    def blueprint(self) -> Blueprint:
        """The routes for Chalice. There is no authorizer: each request is authenticated in `_answer`."""
        blueprint = Blueprint(__name__)
        for operation in self.operations:
            # Every content type is accepted by Chalice, so that a wrong one gets our own error.
            register = blueprint.route(operation.path, methods=[operation.method], content_types=["*/*"])
            register(_view(operation, blueprint))
        return blueprint


def _view(operation: Operation, blueprint: Blueprint) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        raw = blueprint.current_request

        def answered() -> Response:
            try:
                return _answer(operation, raw, path)
            except SeeOther as other:
                return Response(body="", headers={**_HEADERS, "Location": str(other)}, status_code=303)
            except Exception as error:  # the boundary of a request
                return _refusal(operation, error)

        return served(raw, operation.path, answered)

    view.__name__ = operation.name
    view.__doc__ = inspect.getdoc(operation.handler)
    return view


def _answer(operation: Operation, raw: ChaliceRequest, path: dict[str, str]) -> Response:
    request = Request(raw, bootstrap.get_services())
    if operation.roles is not None:
        principal = principal_of(request)
        request = replace(request, given_principal=principal)
        name_user(principal.username)
        if principal.role not in operation.roles:
            raise Forbidden(Fault.ROLE_NEEDED, role=" or ".join(sorted(operation.roles)))
    arguments: dict[str, Any] = dict(path)
    if operation.body_type is not None:
        arguments["body"] = _body(operation, request)
    if operation.query_type is not None:
        arguments["query"] = parsing.read_query(operation.query_type, request.query_values)
    else:
        parsing.read_query(_Nothing, request.query_values)
    return _response(request, operation.handler(request, **arguments))


class _Nothing(BaseModel, extra="forbid"):
    """The query of a route that takes none."""


def _body(operation: Operation, request: Request) -> Any:
    raw = request.body
    if operation.body_may_be_empty and not raw.strip():
        return parsing.validate(operation.body_type, {})  # whatever its content type: curl and forms always send one
    parsing.check_content_type(request.header("content-type") or parsing.JSON, operation.consumes)
    if operation.body_type is FileText:
        sheet = request.query_values.get("sheet", ("",))[-1]
        return parsing.read_file(raw, operation.max_bytes, request.header("content-type") or "", sheet)
    return parsing.validate(operation.body_type, parsing.read_json(raw))


def _response(request: Request, result: Any) -> Response:
    headers: _Headers = {**_HEADERS}
    if result is None:
        return Response(body="", headers=headers, status_code=204)
    if isinstance(result, Text):
        headers |= {"Content-Type": result.media_type, **result.headers}
        return Response(body=result.body, headers=headers, status_code=200)
    status, body = 200, result
    if isinstance(result, Created):
        status, body = 201, result.body
        headers["Location"] = request.link(result.path)
    headers["Content-Type"] = parsing.JSON
    return Response(body=body.model_dump_json(), headers=headers, status_code=status)


def _refusal(operation: Operation, error: Exception) -> Response:
    answer = problems.answer_for(error)
    if answer.status >= 500:
        logger.exception("request failed", route=operation.path, method=operation.method, status=answer.status)
    headers: _Headers = {**_HEADERS, **answer.headers}
    return Response(body=answer.body, headers=headers, status_code=answer.status)
