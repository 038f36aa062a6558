"""Saved segments: segments with names."""

from __future__ import annotations

from ..clock import SystemClock
from ..domain.errors import Conflict, Invalid, NotFound
from ..domain.faults import Fault
from ..domain.saved_segments import FIELD, MOST_SEGMENTS, SavedSegment, is_segment_id
from ..domain.segments import Segment
from ..storage.saved_segments import SavedSegmentRepository


class SavedSegmentService:
    """Create, read, list, change and delete saved segments. Mailings keep their own copies."""

    def __init__(self, segments: SavedSegmentRepository, clock: SystemClock) -> None:
        self._segments = segments
        self._clock = clock

    def create(self, name: str, segment: Segment, username: str) -> SavedSegment:
        """Save a segment with a name. Raises Conflict if the name is taken, or if there are too many.

        Raises Invalid if it is a file of recipients, which is for one mailing.
        """
        _check(segment)
        if len(self._segments.all()) >= MOST_SEGMENTS:
            raise Conflict(Fault.TOO_MANY_SEGMENTS, most=MOST_SEGMENTS)
        saved = SavedSegment(name, segment, self._clock.now(), username)
        self._segments.put(saved, None)
        return saved

    def change(self, segment_id: str, segment: Segment, username: str) -> SavedSegment:
        """Replace a saved segment. Raises NotFound if there is none, and Invalid as `create` does."""
        _check(segment)
        old = self.get(segment_id)
        saved = SavedSegment(old.name, segment, self._clock.now(), username)
        self._segments.put(saved, old)
        return saved

    def get(self, segment_id: str) -> SavedSegment:
        """The segment with this id. Raises NotFound if there is none."""
        if not is_segment_id(segment_id):
            raise NotFound(Fault.NO_SUCH_SEGMENT, name=repr(segment_id[:80]))
        return self._segments.get(segment_id)

    def chosen(self, segment_id: str) -> Segment:
        """The current content of the saved segment that a mailing names. Raises Invalid if there is none."""
        try:
            return self.get(segment_id).segment
        except NotFound as error:
            raise Invalid.of(FIELD, Fault.NOT_A_SEGMENT) from error

    def delete(self, segment_id: str) -> None:
        """Remove a segment. Raises NotFound if there is none."""
        self._segments.delete(self.get(segment_id))

    def all(self) -> list[SavedSegment]:
        """All saved segments, ordered by name."""
        return self._segments.all()


def _check(segment: Segment) -> None:
    if segment.recipients:
        raise Invalid.of("clients.recipients", Fault.RECIPIENTS_NOT_SAVED)
