"""How many messages a sender takes at a time: fewer if the tables are too busy for its writes."""

from __future__ import annotations

from ...observability import LEDGER_BUSY, logger, measure

MOST = 1000  # messages: a hundred hints
LEAST = 25  # the ledger writes so many at once
_SLOWER = 0.5
_FASTER = 50  # more messages after each batch without trouble


class TablePace:
    """The number is halved when a table refuses writes, and grows again slowly."""

    def __init__(self) -> None:
        self.at_once = MOST

    def note(self, turned_away: int) -> None:
        """Note how many writes of a batch a table refused."""
        if turned_away:
            self.at_once = max(LEAST, int(self.at_once * _SLOWER))
            measure(LEDGER_BUSY, turned_away)
            logger.warning("the ledger is busy", turned_away=turned_away, at_once=self.at_once)
        else:
            self.at_once = min(MOST, self.at_once + _FASTER)
