"""The condition upon which a lease can be taken, wherever one stands in a table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pynamodb.expressions.condition import Condition

from ..domain.deadlines import APART


def is_free(model: Any, now: datetime, until: datetime, owner: str = "") -> Condition:
    """Nobody has it, or it is this owner's, or it is over; one that ends later than `until` could is no lease.

    The rule is that of domain.deadlines: the clock may have been set back since it was taken.
    """
    free: Condition = model.owner.does_not_exist() | (model.lease_until < now) | (model.lease_until > until + APART)
    ours: Condition = model.owner == owner
    return free | ours if owner else free
