"""Failed messages in groups: those of one mailing that failed for one reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from ..domain.reasons import Cause
from ..services.dead_letters import DeadLetter
from ..services.mailings import MailingService

NONE = "-"  # means a missing mailing id or reason


class DeadLetterQuery(BaseModel):
    """Which dead letters: the one with an id, or those of a mailing and a reason; "" means any."""

    model_config = ConfigDict(extra="forbid")

    id: StrictStr = Field(default="", max_length=100)
    mailing: StrictStr = Field(default="", max_length=100)
    reason: StrictStr = Field(default="", max_length=200)

    def takes(self, letter: DeadLetter) -> bool:
        """Whether a letter matches."""
        wanted = ((self.id, letter.item), (self.mailing, mailing_of(letter)), (self.reason, reason_of(letter)))
        return all(one in ("", value) for one, value in wanted)

    @property
    def address(self) -> str:
        """The query as in an address, "" for all."""
        given = {name: value for name, value in self.model_dump().items() if value}
        return f"?{urlencode(given)}" if given else ""


@dataclass(frozen=True, slots=True)
class Group:
    """Messages of a mailing that failed for one reason. `title` is the mailing's, "" if it does not exist."""

    query: DeadLetterQuery
    title: str
    cause: Cause | None
    count: int
    oldest: datetime

    @property
    def ours(self) -> bool:
        """Whether they are messages of this service, which can be retried."""
        return self.query.mailing != NONE


def mailing_of(letter: DeadLetter) -> str:
    """The mailing that a letter is about."""
    return letter.about[0] if letter.about else NONE


def reason_of(letter: DeadLetter) -> str:
    """Why it failed, as statistics count it: the cause of the last attempt."""
    return str(letter.cause.counted) if letter.cause else NONE


def groups_of(letters: Iterable[DeadLetter], mailings: MailingService) -> list[Group]:
    """The groups of letters, the largest first."""
    found: defaultdict[tuple[str, str], list[DeadLetter]] = defaultdict(list)
    for letter in letters:
        found[mailing_of(letter), reason_of(letter)].append(letter)
    largest = sorted(found.items(), key=lambda one: (-len(one[1]), one[0]))
    titles = mailings.titles(mailing_id for mailing_id, _ in found)
    return [
        Group(
            query=DeadLetterQuery(mailing=mailing_id, reason=reason),
            title=titles.get(mailing_id, ""),
            cause=some[0].cause.counted if some[0].cause else None,
            count=len(some),
            oldest=min(letter.given_up_at for letter in some),
        )
        for (mailing_id, reason), some in largest
    ]
