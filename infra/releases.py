"""The releases of a stage, newest first: which zip, template and parameters each had, kept in the stage's bucket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from infra.artifacts import Artifacts

FILE = "releases.json"
KEPT = 10
_READY = 2  # the last one and the one before it, whose files do not go after a time


@dataclass(frozen=True, slots=True)
class Release:
    """What was deployed: when (UTC), the service's version, the keys in the bucket, and all parameters of the stack."""

    at: str
    version: str
    fingerprint: str
    zip_key: str
    template_key: str
    parameters: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.version} of {self.at} ({self.fingerprint[:8]})"


class Releases:
    """The releases of a stage, in its bucket."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts

    def all(self) -> list[Release]:
        """All known releases, the newest first."""
        content = self._artifacts.read(FILE)
        found: list[dict[str, Any]] = json.loads(content) if content else []
        return [Release(**one) for one in found]

    def before(self, fingerprint: str) -> Release | None:
        """The release before the one with this fingerprint, None if none is known."""
        known = self.all()
        places = [place for place, one in enumerate(known) if one.fingerprint == fingerprint]
        return known[places[0] + 1] if places and places[0] + 1 < len(known) else None

    def note(self, release: Release, instead_of: str) -> None:
        """Add a release as the newest.

        Releases after the one that it replaces (by fingerprint) were rolled back, so they are removed.
        """
        known = self.all()
        places = [place for place, one in enumerate(known) if one.fingerprint == instead_of]
        known = known[places[0] :] if places else known
        if not known or known[0].fingerprint != release.fingerprint:
            known.insert(0, release)
        known = known[:KEPT]
        content = json.dumps([asdict(one) for one in known], indent=1, sort_keys=True)
        self._artifacts.write(FILE, content.encode())
        ready = [key for one in known[:_READY] for key in (one.zip_key, one.template_key)]
        self._artifacts.supersede_all_but(FILE, *ready)
