"""Segments: which clients a mailing goes to, or a list shows."""

from __future__ import annotations

from dataclasses import dataclass

from .clients import ClientFields, check_operator
from .errors import Invalid
from .faults import Fault
from .filter_checks import checked_filter
from .filters import Filter, Node
from .tags import check_tag

MAX_SEGMENT_VALUES = 50


@dataclass(frozen=True, slots=True)
class Segment:
    """Clients with any of the tags and any of the operators, if some are given, who match the filter, if there is one.

    Tags and operators have indexes and counters; a filter reads each client that these give. With `recipients`, the id
    of an import, a segment is the people in a file for one mailing instead.
    """

    tags: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    filter: Filter | None = None
    recipients: str = ""

    @classmethod
    def checked(
        cls, tags: tuple[str, ...], operators: tuple[str, ...], node: Node | None = None, recipients: str = ""
    ) -> Segment:
        """A segment with checked values, each once. Raises Invalid with the wrong field."""
        if recipients and (tags or operators):
            raise Invalid.of("clients.recipients", Fault.RECIPIENTS_NARROWED)
        for name, values in (("clients.tag", tags), ("clients.operator", operators)):
            if len(values) > MAX_SEGMENT_VALUES:
                raise Invalid.of(name, Fault.TOO_MANY_VALUES, most=MAX_SEGMENT_VALUES)
        return cls(
            tuple(dict.fromkeys(check_tag(tag, "clients.tag") for tag in tags)),
            tuple(dict.fromkeys(check_operator(code, "clients.operator") for code in operators)),
            None if node is None else checked_filter(node),
            recipients,
        )

    @property
    def is_counted(self) -> bool:
        """Whether counters know the number of its clients. Otherwise clients have to be read to count them."""
        return self.filter is None and not self.recipients

    @property
    def is_everybody(self) -> bool:
        """Whether it has all clients."""
        return self == Segment()

    def first_tag_of(self, client: ClientFields) -> str | None:
        """The first of its tags that a client has, None if they have none of them. "" stands for no tag."""
        theirs = client.tags or ("",)
        return next((tag for tag in self.tags if tag in theirs), None)

    def matches(self, client: ClientFields) -> bool:
        """Whether a client matches its tags and operators; its filter is not looked at."""
        return (not self.tags or self.first_tag_of(client) is not None) and (
            not self.operators or client.operator in self.operators
        )
