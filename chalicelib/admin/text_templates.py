"""/admin/templates: texts with names and versions, and the form for them."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field

from ..domain.errors import Invalid
from ..domain.mailings import MAX_TEXT_LENGTH, MOST_LANGUAGES
from ..domain.templates import MAX_NAME_LENGTH, Template
from ..web.bodies import TemplateBody, TemplateChangeBody, texts_of
from ..web.fields import query_integer
from ..web.paging import PageQuery
from . import mailing_form
from .forms import Form
from .mailings import previewed
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _

pages = Pages()
B = TypeVar("B", bound=TemplateBody)


class TemplateQuery(PageQuery):
    """All templates, by name."""


class VersionQuery(PageQuery):
    """The versions of a template, with their texts."""

    limit: Annotated[int, BeforeValidator(query_integer), Field(ge=1, le=20)] = 10


@pages.get("/admin/templates")
def list_templates(request: PageRequest, query: TemplateQuery) -> Page:
    """Show the templates by name."""
    rows, after = request.services.templates().list(query.place(), query.limit)
    values = {"rows": rows, "next": query.following(after), "first": not query.cursor}
    return Page("text_templates/list.html", values)


@pages.get("/admin/templates/new")
def new_template(request: PageRequest) -> Page:
    """Show the form for a new template."""
    return _form(None)


@pages.post("/admin/templates/new", shows=new_template)
def create_template(request: PageRequest) -> Redirect:
    """Save a text with a name."""
    body = _entered(request.form, TemplateBody)
    username = request.principal.username
    made = request.services.templates().create(body.name, body.text, texts_of(body.texts), username)
    return Redirect(f"/admin/templates/{made.template_id}", flash=_("The template was created."))


@pages.post("/admin/templates/preview")
def preview_template(request: PageRequest) -> Page:
    """Preview the text in the form as all clients would get it; this changes nothing."""
    entered = mailing_form.read(request.form, request.zone_name)
    preview = request.services.previews.draft(entered.sound(request.now))
    return Page("text_templates/preview.html", {**previewed(request, preview), "wrong": entered.wrong, "recipients": 0})


@pages.get("/admin/templates/{template_id}")
def show_template(request: PageRequest, query: VersionQuery, template_id: str) -> Page:
    """Show a template with its versions, the newest first; also a deleted one, because its mailings link to it."""
    templates = request.services.templates()
    versions, after = templates.versions(template_id, query.place(), query.limit)
    values = {"template": templates.get(template_id), "versions": versions}
    return Page("text_templates/template.html", {**values, "next": query.following(after), "first": not query.cursor})


@pages.get("/admin/templates/{template_id}/edit")
def edit_template(request: PageRequest, template_id: str) -> Page:
    """Show the form for the next version."""
    return _form(request.services.templates().listed(template_id))


@pages.post("/admin/templates/{template_id}/edit", shows=edit_template)
def change_template(request: PageRequest, template_id: str) -> Redirect:
    """Add the next version, unless somebody else did meanwhile."""
    version = request.form.text("version")
    number = int(version) if version.isascii() and version.isdecimal() and len(version) < 7 else 0
    body = _entered(request.form, TemplateChangeBody, version=number)
    username = request.principal.username
    request.services.templates().change(template_id, body.version, body.name, body.text, texts_of(body.texts), username)
    return Redirect(f"/admin/templates/{template_id}", flash=_("Changes saved."))


@pages.get("/admin/templates/{template_id}/delete")
def confirm_delete(request: PageRequest, template_id: str) -> Page:
    """Ask whether to delete a template."""
    return Page("text_templates/delete.html", {"template": request.services.templates().listed(template_id)})


@pages.post("/admin/templates/{template_id}/delete", shows=confirm_delete)
def delete_template(request: PageRequest, template_id: str) -> Redirect:
    """Delete a template."""
    request.services.templates().delete(template_id, request.principal.username)
    return Redirect("/admin/templates", flash=_("The template was deleted. Mailings that were made from it stay."))


def _form(template: Template | None) -> Page:
    shown = {
        "name": template.name if template else "",
        "text": template.text if template else "",
        "version": str(template.version) if template else "",
        **mailing_form.shown_texts(template.texts if template else ()),
    }
    values: dict[str, Any] = {
        "template": template,
        "shown": shown,
        "max_name": MAX_NAME_LENGTH,
        "max_text": MAX_TEXT_LENGTH,
        "max_languages": MOST_LANGUAGES,
    }
    return Page("text_templates/form.html", values)


def _entered(form: Form, model: type[B], **more: Any) -> B:
    """The values in the form. Raises Invalid with errors at the fields that a person sees."""
    values = {"name": form.raw("name"), "text": form.raw("text"), "texts": mailing_form.texts_in(form) or None, **more}
    try:
        return form.into(model, values)
    except Invalid as error:
        raise Invalid(*(mailing_form.at_its_field(one, values) for one in error.errors)) from error
