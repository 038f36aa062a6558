"""/admin/segments: saved segments, which are made and used in the form of a mailing."""

from __future__ import annotations

from ..domain.errors import Invalid, ServiceError
from ..web.saved_segments import SavedSegmentCreateBody
from . import filter_form, mailing_form
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _, told

pages = Pages()


@pages.get("/admin/segments")
def list_segments(request: PageRequest) -> Page:
    """Show the saved segments by name."""
    return Page("segments/list.html", {"rows": request.services.segments().all()})


@pages.post("/admin/segments/save", shows=list_segments)
def save_segment(request: PageRequest) -> Page:
    """Save the clients in the form of a mailing with a name. The answer is shown in the form's page."""
    saved, problem = None, ""
    values = {"name": request.form.raw("segment_name"), "clients": mailing_form.clients_in(request.form)}
    try:
        if errors := filter_form.errors(request.form):
            raise Invalid(*errors)
        body = request.form.into(SavedSegmentCreateBody, values)
        saved = request.services.segments().create(body.name, body.clients.segment(), request.principal.username)
    except ServiceError as error:
        problem = told(error)
    return Page("segments/saved.html", {"saved": saved, "problem": problem})


@pages.get("/admin/segments/{segment_id}/delete")
def confirm_delete(request: PageRequest, segment_id: str) -> Page:
    """Ask whether to delete a saved segment."""
    return Page("segments/delete.html", {"saved": request.services.segments().get(segment_id)})


@pages.post("/admin/segments/{segment_id}/delete", shows=confirm_delete)
def delete_segment(request: PageRequest, segment_id: str) -> Redirect:
    """Delete a saved segment."""
    request.services.segments().delete(segment_id)
    return Redirect("/admin/segments", flash=_("The group was deleted. Its clients stay, and so do mailings to it."))
