"""How many messages a sender takes at a time: fewer when the tables are too busy for what it writes."""

from __future__ import annotations

from ...observability import LEDGER_BUSY, logger, measure

MOST = 1000  # messages: a hundred hints
LEAST = 25  # the ledger writes so many at once
_SLOWER = 0.5
_FASTER = 50  # messages more after each batch that met no trouble


class TablePace:
    """Halved when a table turns writes away, and growing again slowly, as senders slow down for the gateway."""

    def __init__(self) -> None:
        self.at_once = MOST

    def note(self, turned_away: int) -> None:
        """Note how many writes of a batch a table turned away."""
        if turned_away:
            self.at_once = max(LEAST, int(self.at_once * _SLOWER))
            measure(LEDGER_BUSY, turned_away)
            logger.warning("the ledger is busy", turned_away=turned_away, at_once=self.at_once)
        else:
            self.at_once = min(MOST, self.at_once + _FASTER)
