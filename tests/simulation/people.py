"""The clients of the simulation as they were at any time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.domain.clients import Client
from chalicelib.domain.filters import Node
from chalicelib.domain.segments import Segment


@dataclass
class People:
    """Everybody's versions, the latest last; None once they are removed."""

    _versions: dict[str, list[tuple[datetime, Client | None]]] = field(default_factory=dict)

    def note(self, client_id: str, client: Client | None, now: datetime) -> None:
        """Note a client's new version."""
        self._versions.setdefault(client_id, []).append((now, client))

    def now(self) -> list[Client]:
        """Everybody who exists now."""
        return [versions[-1][1] for versions in self._versions.values() if versions[-1][1]]

    def latest(self, client_id: str) -> Client:
        """A client's present version."""
        client = self._versions[client_id][-1][1]
        assert client is not None
        return client

    def matching(self, segment: Segment) -> set[str]:
        """Everybody who matches a segment now."""
        return {client.client_id for client in self.now() if matches(client, segment)}

    def with_number(self, number: str, since: datetime, until: datetime) -> list[Client | None]:
        """The clients who had a number in that span, one after the other, and None if it was nobody's at some time
        in it."""
        spans: list[tuple[datetime, datetime | None, Client]] = []
        for versions in self._versions.values():
            ends = [at for at, _ in versions[1:]] + [None]
            for (begins, client), end in zip(versions, ends, strict=True):
                if client and client.phone_number == number and begins <= until and (end is None or end > since):
                    spans.append((begins, end, client))
        found: list[Client | None] = []
        covered = since
        for begins, end, client in sorted(spans, key=lambda span: span[0]):
            if begins > covered:
                found.append(None)
            found.append(client)
            covered = until if end is None else max(covered, end)
        return found if covered >= until else [*found, None]

    def between(self, client_id: str, since: datetime, until: datetime) -> list[Client]:
        """A client's versions in that span: one, or more if they changed in it."""
        versions = self._versions[client_id]
        ends = [at for at, _ in versions[1:]] + [None]
        return [
            client
            for (begins, client), end in zip(versions, ends, strict=True)
            if client and begins <= until and (end is None or end > since)
        ]


def matches(client: Client, segment: Segment) -> bool:
    """Whether a client is in a segment."""
    if segment.filter and not met(segment.filter.node, client):
        return False
    return (not segment.tags or any(tag in segment.tags for tag in client.tags)) and (
        not segment.operators or client.operator in segment.operators
    )


def met(node: Node, client: Client) -> bool:
    """Whether a client meets a condition, of the few kinds that mailings have here."""
    match node:
        case {"all": nodes}:
            return all(met(one, client) for one in nodes)
        case {"not": inner}:
            return not met(inner, client)
        case {"tag": tags}:
            return not set(tags).isdisjoint(client.tags)
        case {"timezone": zones}:
            return client.timezone in zones
        case {"begins_with": text}:
            return str(client.attributes.get("pet", "")).startswith(text)
        case {"exists": wanted}:
            return ("pet" in client.attributes) is wanted
    raise AssertionError(node)
