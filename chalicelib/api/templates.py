"""/api/templates/: texts that are kept under a name, in versions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from ..bootstrap import Services
from ..domain.errors import Conflict, NotFound
from ..domain.templates import Template, TemplateEntry
from ..web.bodies import TemplateBody, TemplateChangeBody, TemplateRef, texts_of
from ..web.fields import MomentOut, View, query_integer
from ..web.paging import PageQuery
from ..web.request import Request
from .routing import Created, Routes

routes = Routes("templates")
MOST_VERSIONS = 50  # on a page; the texts of each may have 70 KB


class VersionView(View):
    """A version of a template, which never changes."""

    id: str
    version: int
    name: str
    text: str
    texts: dict[str, str]
    changed_at: MomentOut
    changed_by: str

    @classmethod
    def of(cls, template: Template) -> VersionView:
        return cls(**_values(template))


class TemplateView(VersionView):
    """A template with its newest version. `deleted`: it is no longer in the list, and cannot be used for a mailing."""

    deleted: bool

    @classmethod
    def of(cls, template: Template) -> TemplateView:
        return cls(**_values(template), deleted=template.deleted)


def _values(template: Template) -> dict[str, Any]:
    return {
        "id": template.template_id,
        "version": template.version,
        "name": template.name,
        "text": template.text,
        "texts": dict(template.texts),
        "changed_at": template.changed_at,
        "changed_by": template.changed_by,
    }


class ListedTemplateView(View):
    """A template in the list: its newest version, with the beginning of its text."""

    id: str
    version: int
    name: str
    begins: str
    changed_at: MomentOut
    changed_by: str

    @classmethod
    def of(cls, entry: TemplateEntry) -> ListedTemplateView:
        return cls(
            id=entry.template_id,
            version=entry.version,
            name=entry.name,
            begins=entry.begins,
            changed_at=entry.changed_at,
            changed_by=entry.changed_by,
        )


class TemplatePage(View):
    """A page of templates; `next` is the cursor of the next page."""

    rows: list[ListedTemplateView]
    next: str | None


class TemplateQuery(PageQuery):
    """All templates, by name."""


class VersionQuery(PageQuery):
    """The versions of a template."""

    limit: Annotated[int, BeforeValidator(query_integer), Field(ge=1, le=MOST_VERSIONS)] = MOST_VERSIONS


class VersionPage(View):
    """A page of versions; `next` is the cursor of the next page."""

    rows: list[VersionView]
    next: str | None


def template_of(services: Services, given: TemplateRef | None) -> Template | None:
    """The version that a body names, None if it names none. Raises Invalid if there is no such version."""
    return services.templates().chosen(given.id, given.version) if given else None


@routes.route("POST", "/api/templates", errors=(Conflict,))
def create_template(request: Request, body: TemplateBody) -> Created[TemplateView]:
    """Save a text under a name. This is version 1."""
    username = request.principal.username
    made = request.services.templates().create(body.name, body.text, texts_of(body.texts), username)
    return Created(TemplateView.of(made), f"/api/templates/{made.template_id}")


@routes.route("GET", "/api/templates")
def list_templates(request: Request, query: TemplateQuery) -> TemplatePage:
    """List templates by name."""
    rows, after = request.services.templates().list(query.place(), query.limit)
    return TemplatePage(rows=[ListedTemplateView.of(one) for one in rows], next=query.following(after))


@routes.route("GET", "/api/templates/{template_id}", errors=(NotFound,))
def read_template(request: Request, template_id: str) -> TemplateView:
    """Read the newest version of a template, also of a deleted one."""
    return TemplateView.of(request.services.templates().get(template_id))


@routes.route("PUT", "/api/templates/{template_id}", errors=(NotFound, Conflict))
def change_template(request: Request, template_id: str, body: TemplateChangeBody) -> TemplateView:
    """Make the next version of a template. If nothing differs from the newest version, none is made.

    `version` is the one that you changed: if there is a newer one, the answer is a 409. Mailings that were
    made from earlier versions keep their texts.
    """
    username = request.principal.username
    templates = request.services.templates()
    return TemplateView.of(
        templates.change(template_id, body.version, body.name, body.text, texts_of(body.texts), username)
    )


@routes.route("GET", "/api/templates/{template_id}/versions", errors=(NotFound,))
def list_template_versions(request: Request, query: VersionQuery, template_id: str) -> VersionPage:
    """List the versions of a template, the newest first."""
    rows, after = request.services.templates().versions(template_id, query.place(), query.limit)
    return VersionPage(rows=[VersionView.of(one) for one in rows], next=query.following(after))


@routes.route("GET", "/api/templates/{template_id}/versions/{version}", errors=(NotFound,))
def read_template_version(request: Request, template_id: str, version: str) -> VersionView:
    """Read one version of a template."""
    return VersionView.of(request.services.templates().version(template_id, version))


@routes.route("DELETE", "/api/templates/{template_id}", errors=(NotFound, Conflict))
def delete_template(request: Request, template_id: str) -> None:
    """Delete a template: take it out of the list, and free its name.

    Mailings that were made from it keep their texts, and its versions can still be read by its id.
    """
    request.services.templates().delete(template_id, request.principal.username)
