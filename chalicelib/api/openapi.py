"""The OpenAPI 3.1 description of the REST API, made from the operations and their models."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .. import __version__
from ..domain.errors import Forbidden, Invalid, Malformed, ServiceError, Unauthenticated, Unavailable
from ..domain.file_texts import FileText
from ..web import parsing, problems
from ..web.request import EVERYBODY, Text
from .routing import Created, Header, Operation
from .schemas import REF, drop_defaults, model_of, tidy, tidy_parameter

_SENTENCE = re.compile(r"(?<=\.) ")
_LOCATION = Header("Location", "Where it is.")
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"token": []}]
_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "`Authorization: Bearer …` with a token of `/auth-token/`.",
    },
    "token": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Token …` with the same token.",
    },
}
_PROBLEM = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "The kind of problem. docs/api.md lists them all."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {
            "type": "string",
            "description": "A code for programs. docs/errors.md lists them. It is absent if there are `errors`.",
        },
        "errors": {
            "type": "array",
            "description": "Each wrong field, by its path.",
            "items": {
                "type": "object",
                "required": ["field", "message", "code"],
                "properties": {name: {"type": "string"} for name in ("field", "message", "code")},
            },
        },
    },
}


def document(operations: Iterable[Operation], server: str = "/") -> dict[str, Any]:
    """The whole description. `server` is the prefix of every path, such as the stage of API Gateway."""
    known = list(operations)
    refs, definitions = models_json_schema(_models(known), ref_template=REF)
    schemas: dict[str, Any] = tidy(definitions.get("$defs", {}))
    bodies = [one for one in known if (one.body_type, "validation") in refs]
    for partial in (True, False):  # a PATCH omits what it does not change, so its defaults are not described
        names = [model_of(refs[one.body_type, "validation"]) for one in bodies if (one.method == "PATCH") == partial]
        drop_defaults(schemas, names, told=not partial)
    paths: dict[str, dict[str, Any]] = {}
    for operation in known:
        # A slash at the end is optional; the description keeps it, as it always did.
        path = (
            operation.path if operation.path in ("/", "/health", "/health/ready", "/metrics") else f"{operation.path}/"
        )
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, refs, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Message Service",
            "version": __version__,
            "description": "Sends mailings to groups of clients through an HTTP gateway.",
        },
        "servers": [{"url": server}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in known)],
        "paths": paths,
        "components": {"schemas": {**schemas, "Problem": _PROBLEM}, "securitySchemes": _SCHEMES},
    }


def _models(operations: list[Operation]) -> list[tuple[type[BaseModel], Any]]:
    models: dict[tuple[type[BaseModel], str], None] = {}
    for operation in operations:
        if inspect.isclass(operation.body_type) and issubclass(operation.body_type, BaseModel):
            models[operation.body_type, "validation"] = None
        if (view := _view(operation)) is not None:
            models[view, "serialization"] = None
    return list(models)


def _view(operation: Operation) -> type[BaseModel] | None:
    """The model of a successful answer, None if it is not JSON."""
    result = operation.result_type
    if typing.get_origin(result) is Created:
        (result,) = typing.get_args(result)
    return result if inspect.isclass(result) and issubclass(result, BaseModel) else None


def _operation(operation: Operation, refs: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    text = inspect.getdoc(operation.handler) or ""
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": _SENTENCE.split(" ".join(text.split()))[0].rstrip(".") + ".",
        "description": text,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in operation.parameters
        ]
        + _query(operation, schemas)
        + [{"name": header.name, "in": "header", "required": False} | _header(header) for header in operation.reads],
        "responses": {**_good(operation, refs), **_bad(operation)},
        "security": [] if operation.roles is None else _SECURITY,
    }
    if operation.body_type is FileText:
        # Described as bytes, not text of some type: generated clients send bytes, and some know no other type.
        body: dict[str, Any] = {parsing.BYTES: {"schema": {"type": "string", "format": "binary"}}}
    elif operation.body_type is not None:
        ref = refs[operation.body_type, "validation"]
        body = {parsing.JSON: {"schema": ref, "example": schemas[model_of(ref)]["examples"][0]}}
    else:
        return described
    return described | {"requestBody": {"required": not operation.body_may_be_empty, "content": body}}


def _query(operation: Operation, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if operation.query_type is None:
        return []
    schema = operation.query_type.model_json_schema(ref_template=REF)
    schemas |= tidy(schema.pop("$defs", {}))
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": tidy_parameter(one)}
        for name, one in schema["properties"].items()
    ]


def _good(operation: Operation, refs: Any) -> dict[str, Any]:
    result = operation.result_type
    if result is type(None) or result is None:
        return {"204": {"description": "Done."}}
    schema = {"type": "string"} if result is Text else refs[_view(operation), "serialization"]
    answer: dict[str, Any] = {"description": "The answer.", "content": {operation.produces: {"schema": schema}}}
    created = typing.get_origin(result) is Created
    if headers := (*operation.answers, _LOCATION) if created else operation.answers:
        answer["headers"] = {header.name: _header(header) for header in headers}
    return {"201": answer | {"description": "Created."}} if created else {"200": answer}


def _header(header: Header) -> dict[str, Any]:
    return {"description": header.description, "schema": dict(header.schema)}


def _bad(operation: Operation) -> dict[str, Any]:
    """The problems that an operation may answer with, by status."""
    kinds: list[type[ServiceError]] = [Malformed, Invalid, Unavailable, *operation.errors]
    if operation.roles is not None:
        kinds.append(Unauthenticated)
        if operation.roles != EVERYBODY:
            kinds.append(Forbidden)
    if operation.body_type is not None:
        kinds += [problems.TooLarge, problems.UnsupportedMedia]
    content = {problems.CONTENT_TYPE: {"schema": {"$ref": REF.format(model="Problem")}}}
    titles: dict[str, list[str]] = {}
    for kind in kinds:
        problem = problems.PROBLEMS[kind]
        titles.setdefault(str(int(problem.status)), []).append(problem.title)
    return {
        status: {"description": "; ".join(dict.fromkeys(names)) + ".", "content": content}
        for status, names in sorted(titles.items())
    }
