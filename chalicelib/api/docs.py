"""/api/schema/ and /api/docs/: the description of the API, and Swagger UI over it, without a network."""

from __future__ import annotations

import json
from importlib import resources

from ..web.request import Request, Text
from . import openapi
from .routing import Operation, Routes

routes = Routes("docs")
_ASSETS = "aws_lambda_powertools.event_handler.openapi.swagger_ui"
_CACHED = {"Cache-Control": "public, max-age=86400"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Message Service: API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{base}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui" data-schema="{schema}"></div>
<script src="{base}/swagger-ui.js"></script>
<script src="{base}/start.js"></script>
</body>
</html>
"""
_START = """const place = document.getElementById("swagger-ui");
SwaggerUIBundle({
  domNode: place,
  url: place.dataset.schema,
  deepLinking: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""


def operations() -> list[Operation]:
    """Every documented operation: all except those of this module."""
    from . import ROUTES  # imported here because it lists this module too

    return [operation for one in ROUTES if one is not routes for operation in one.operations]


@routes.route("GET", "/api/schema", roles=None)
def read_schema(request: Request) -> Text:
    """Get the OpenAPI description of this API."""
    described = openapi.document(operations(), request.link("/").rstrip("/") or "/")
    return Text(json.dumps(described, ensure_ascii=False), "application/json")


@routes.route("GET", "/api/docs", roles=None)
def read_docs(request: Request) -> Text:
    """Get Swagger UI."""
    page = _PAGE.format(base=request.link("/api/docs"), schema=request.link("/api/schema/"))
    return Text(page, "text/html; charset=utf-8", {"Content-Security-Policy": _POLICY})


@routes.route("GET", "/api/docs/swagger-ui.js", roles=None)
def read_docs_script(request: Request) -> Text:
    """Get the script of Swagger UI."""
    del request
    return Text(_asset("swagger-ui-bundle.min.js"), "text/javascript; charset=utf-8", _CACHED)


@routes.route("GET", "/api/docs/swagger-ui.css", roles=None)
def read_docs_style(request: Request) -> Text:
    """Get the style of Swagger UI."""
    del request
    return Text(_asset("swagger-ui.min.css"), "text/css; charset=utf-8", _CACHED)


@routes.route("GET", "/api/docs/start.js", roles=None)
def read_docs_start(request: Request) -> Text:
    """Get the script that starts Swagger UI."""
    del request
    return Text(_START, "text/javascript; charset=utf-8", _CACHED)


def _asset(name: str) -> str:
    return resources.files(_ASSETS).joinpath(name).read_text(encoding="utf-8")
