"""What changes while the service runs and belongs to no table of its own: leases."""

from __future__ import annotations

from datetime import datetime

from pynamodb.exceptions import UpdateError

from .leases import is_free
from .models import Tables
from .retries import translated, was_refused

_LEASES = "leases"


class LeaseRepository:
    """Named leases: at most one owner at a time, until the lease runs out."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.settings

    def acquire(self, name: str, owner: str, now: datetime, until: datetime) -> bool:
        """Take or prolong a lease; False where another owner has it."""
        model = self._model
        condition = is_free(model, now, until, owner)
        with translated("settings"):
            try:
                model(_LEASES, name).update(
                    actions=[model.owner.set(owner), model.lease_until.set(until)], condition=condition
                )
            except UpdateError as error:
                if not was_refused(error):
                    raise
                return False
        return True

    def release(self, name: str, owner: str) -> None:
        """Give a lease back; nothing happens where it is another's."""
        model = self._model
        with translated("settings"):
            try:
                model(_LEASES, name).update(
                    actions=[model.owner.remove(), model.lease_until.remove()], condition=model.owner == owner
                )
            except UpdateError as error:
                if not was_refused(error):
                    raise
