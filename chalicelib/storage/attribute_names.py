"""The names of all attributes that clients ever had, the oldest first: the columns of an export."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pynamodb.exceptions import UpdateError

from ..clock import Backoff
from ..domain.attributes import MOST_NAMES
from ..domain.errors import Invalid, Unavailable
from ..domain.faults import Fault
from .dynamodb import TRIES, translated, was_refused
from .models import SettingModel
from .tables import Tables

_SCOPE, _NAME = "clients-attributes", "names"


class AttributeNames:
    """The names, in one item of the settings table. None is ever removed, because another process may know it."""

    def __init__(self, tables: Tables, backoff: Backoff) -> None:
        self._model: type[SettingModel] = tables.settings
        self._backoff = backoff
        self._known: list[str] = []

    def all(self) -> list[str]:
        """All names, the oldest first."""
        with translated("clients"):
            rows: Any = list(self._model.query(_SCOPE, self._model.name == _NAME, consistent_read=True))
        self._known = (rows[0].content or "").split() if rows else []
        return list(self._known)

    def learn(self, names: Iterable[str]) -> None:
        """Add new names, before a client has them.

        Raises Invalid if there would be too many, and Unavailable if others keep adding names.
        """
        wanted = set(names)
        for tries in range(1, TRIES + 1):
            if wanted <= set(self._known):
                return
            known = self.all()
            new = sorted(wanted - set(known))
            if not new:
                return
            if len(known) + len(new) > MOST_NAMES:
                raise Invalid.of("attributes", Fault.TOO_MANY_ATTRIBUTE_NAMES, most=len(known))
            if self._add(known, new):
                return
            self._backoff.wait(tries)
        raise Unavailable("others note attributes of clients too; try again")

    def _add(self, known: list[str], new: list[str]) -> bool:
        """Add names if the stored ones are still those known. Returns whether they were added."""
        model = self._model
        unchanged = model.content == " ".join(known) if known else model.content.does_not_exist()
        with translated("clients"):
            try:
                model(_SCOPE, _NAME).update(actions=[model.content.set(" ".join(known + new))], condition=unchanged)
            except UpdateError as error:
                if not was_refused(error):
                    raise
                return False
        self._known = known + new
        return True
