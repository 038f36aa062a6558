"""/api/segments/: whom mailings go to, kept under names."""

from __future__ import annotations

from ..domain.errors import Conflict, NotFound
from ..domain.saved_segments import SavedSegment
from ..web.fields import MomentOut, View
from ..web.request import Request
from ..web.saved_segments import SavedSegmentChangeBody, SavedSegmentCreateBody
from .mailings import SegmentView, saved_of
from .routing import Created, Routes

routes = Routes("segments")


class SavedSegmentView(View):
    """A saved segment. `clients` is as a mailing takes it."""

    id: str
    name: str
    clients: SegmentView
    changed_at: MomentOut
    changed_by: str

    @classmethod
    def of(cls, saved: SavedSegment) -> SavedSegmentView:
        return cls(
            id=saved.segment_id,
            name=saved.name,
            clients=SegmentView.of(saved.segment),
            changed_at=saved.changed_at,
            changed_by=saved.changed_by,
        )


class SavedSegmentList(View):
    """All saved segments by name; there are at most 200."""

    total: int
    rows: list[SavedSegmentView]


@routes.route("POST", "/api/segments", errors=(Conflict,))
def create_segment(request: Request, body: SavedSegmentCreateBody) -> Created[SavedSegmentView]:
    """Save a segment under a name that no other has. A mailing with `{"segment": id}` as its `clients` uses it."""
    segment = body.clients.segment(saved_of(request.services, body.clients))
    saved = request.services.segments().create(body.name, segment, request.principal.username)
    return Created(SavedSegmentView.of(saved), f"/api/segments/{saved.segment_id}")


@routes.route("GET", "/api/segments")
def list_segments(request: Request) -> SavedSegmentList:
    """List saved segments by name."""
    rows = [SavedSegmentView.of(one) for one in request.services.segments().all()]
    return SavedSegmentList(total=len(rows), rows=rows)


@routes.route("GET", "/api/segments/{segment_id}", errors=(NotFound,))
def read_segment(request: Request, segment_id: str) -> SavedSegmentView:
    """Read a saved segment."""
    return SavedSegmentView.of(request.services.segments().get(segment_id))


@routes.route("PUT", "/api/segments/{segment_id}", errors=(NotFound,))
def change_segment(request: Request, segment_id: str, body: SavedSegmentChangeBody) -> SavedSegmentView:
    """Replace what a saved segment has. Mailings that were made with it stay as they are."""
    segment = body.clients.segment(saved_of(request.services, body.clients))
    changed = request.services.segments().change(segment_id, segment, request.principal.username)
    return SavedSegmentView.of(changed)


@routes.route("DELETE", "/api/segments/{segment_id}", errors=(NotFound,))
def delete_segment(request: Request, segment_id: str) -> None:
    """Delete a saved segment. Mailings that were made with it stay as they are."""
    request.services.segments().delete(segment_id)
