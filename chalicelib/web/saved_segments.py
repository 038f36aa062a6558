"""The bodies of saved segments, as read from requests and forms."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictStr

from ..domain.saved_segments import MAX_NAME_LENGTH
from ..domain.tags import check_name
from .bodies import SegmentBody
from .fields import Body, by_rule, example

SegmentName = Annotated[
    StrictStr, by_rule(check_name), Field(min_length=1, max_length=MAX_NAME_LENGTH, examples=["Old friends"])
]


class SavedSegmentChangeBody(Body):
    """The new content of a saved segment."""

    model_config = example({"clients": {"tag": "vip"}})

    clients: SegmentBody


class SavedSegmentCreateBody(SavedSegmentChangeBody):
    """A segment and its name. No two segments have the same name, whatever its case."""

    model_config = example({"name": "Old friends", "clients": {"tag": "vip"}})

    name: SegmentName
