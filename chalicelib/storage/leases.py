"""Leases: named ones in the settings table, and the condition for taking a lease in any table."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

from pynamodb.exceptions import UpdateError
from pynamodb.expressions.condition import Condition

from ..domain.deadlines import APART
from .dynamodb import translated, was_refused
from .tables import Tables

_LEASES = "leases"


class LeaseRepository:
    """Named leases: at most one owner at a time, until the lease expires."""

    def __init__(self, tables: Tables) -> None:
        self._model = tables.settings

    def acquire(self, name: str, owner: str, now: datetime, until: datetime) -> bool:
        """Take or extend a lease. Returns False if another owner has it."""
        model = self._model
        condition = is_free(model, now, until, owner)
        with translated("settings"):
            try:
                model(_LEASES, name).update(actions=held(model, owner, until), condition=condition)
            except UpdateError as error:
                if not was_refused(error):
                    raise
                return False
        return True

    def release(self, name: str, owner: str) -> None:
        """Release a lease. Nothing happens if another owner has it."""
        model = self._model
        with translated("settings"):
            try:
                model(_LEASES, name).update(actions=given_back(model), condition=model.owner == owner)
            except UpdateError as error:
                if not was_refused(error):
                    raise


def is_free(model: Any, now: datetime, until: datetime, owner: str = "") -> Condition:
    """The condition that a lease is free: nobody has it, this owner has it, or it is over.

    A lease that ends later than `until` counts as over (domain.deadlines): the clock was set back after it was taken.
    """
    free: Condition = model.owner.does_not_exist() | (model.lease_until < now) | (model.lease_until > until + APART)
    ours: Condition = model.owner == owner
    return free | ours if owner else free


def held(model: Any, owner: str, until: datetime) -> list[Any]:
    """The actions that take or extend a lease."""
    return [model.owner.set(owner), model.lease_until.set(until)]


def given_back(model: Any) -> list[Any]:
    """The actions that end a lease."""
    return [model.owner.remove(), model.lease_until.remove()]


def new_owner(rng: random.Random) -> str:
    """A random name for an invocation that takes a lease or claims a message."""
    return f"{rng.getrandbits(64):016x}"
