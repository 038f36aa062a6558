"""Moments in the tables: a number of milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from pynamodb.attributes import Attribute
from pynamodb.constants import NUMBER

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """A moment as milliseconds since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


@lru_cache(maxsize=1024)  # what was never changed since has the same moment twice, an import one for many
def from_ms(milliseconds: float) -> datetime:
    """The moment after so many milliseconds since 1970."""
    return _EPOCH + int(milliseconds) * _MILLISECOND


class MomentAttribute(Attribute[datetime]):
    """A moment, stored as milliseconds since 1970, so that it can be a sort key and be compared."""

    attr_type = NUMBER

    def serialize(self, value: datetime) -> str:
        return str(to_ms(value))

    def deserialize(self, value: str) -> datetime:
        return from_ms(float(value))
