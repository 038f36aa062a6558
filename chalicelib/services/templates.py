"""Templates: texts with names, which are changed by adding versions, and chosen for mailings."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from ..clock import SystemClock
from ..domain.errors import Conflict, Invalid, NotFound
from ..domain.faults import Fault
from ..domain.templates import ID_BYTES, Template, TemplateEntry, TemplateLink, is_template_id
from ..storage.templates import TemplateRepository

Texts = tuple[tuple[str, str], ...]
FIELD = "template"  # the field that errors about a mailing's template name


class TemplateService:
    """Create, read, list, change and delete templates. The callers check names and texts."""

    def __init__(self, templates: TemplateRepository, clock: SystemClock, rng: random.Random) -> None:
        self._templates = templates
        self._clock = clock
        self._rng = rng

    def create(self, name: str, text: str, texts: Texts, username: str) -> Template:
        """Save a text with a name. Raises Conflict if another template has this name."""
        template_id = self._rng.randbytes(ID_BYTES).hex()
        template = Template(
            template_id=template_id,
            version=1,
            name=name,
            text=text,
            texts=texts,
            changed_at=self._clock.now(),
            changed_by=username,
        )
        self._templates.add(template)
        return template

    def change(self, template_id: str, version: int, name: str, text: str, texts: Texts, username: str) -> Template:
        """Add the version after `version`, unless nothing has changed.

        Raises NotFound if there is no such template, and Conflict if `version` is not its newest version any more.
        """
        old = self.listed(template_id)
        if old.version != version:
            raise Conflict(Fault.TEMPLATE_CHANGED)
        if old.says(name, text, texts):
            return old
        new = replace(
            old,
            version=version + 1,
            name=name,
            text=text,
            texts=texts,
            changed_at=self._clock.now(),
            changed_by=username,
        )
        self._templates.change(old, new)
        return new

    def delete(self, template_id: str, username: str) -> None:
        """Remove a template from the list, so that its name is free. It can still be read by its id.

        Raises NotFound if there is no such template, and Conflict if somebody else is changing it.
        """
        if not self._templates.delete(self.listed(template_id), username, self._clock.now()):
            raise Conflict(Fault.TEMPLATE_CHANGED)

    def get(self, template_id: str) -> Template:
        """The newest version, also of a deleted one. Raises NotFound if there never was such a template."""
        return self._templates.latest(_checked(template_id))

    def listed(self, template_id: str) -> Template:
        """The newest version of a template that is not deleted. Raises NotFound if there is none."""
        template = self.get(template_id)
        if template.deleted:
            raise NotFound(Fault.NO_SUCH_TEMPLATE, name=template_id)
        return template

    def version(self, template_id: str, version: str) -> Template:
        """A version by its number, in decimal digits. Raises NotFound if there is none."""
        number = int(version) if version.isascii() and version.isdecimal() and len(version) < 7 else 0
        found = self._templates.version(_checked(template_id), number)
        if found is None:
            raise NotFound(Fault.NO_SUCH_TEMPLATE, name=repr(f"{template_id}/{version}"[:80]))
        return found

    def versions(self, template_id: str, place: str, limit: int) -> tuple[Sequence[Template], str]:
        """A page of versions, the newest first, and the next place. Raises NotFound if there are none."""
        found, after = self._templates.versions(_checked(template_id), place, limit)
        if not found:
            raise NotFound(Fault.NO_SUCH_TEMPLATE, name=template_id)
        return found, after

    def list(self, place: str, limit: int) -> tuple[Sequence[TemplateEntry], str]:
        """A page of templates by name, and the next place."""
        return self._templates.page(place, limit)

    def chosen(self, template_id: str, version: int | None) -> Template:
        """The version to make a mailing from, the newest if `version` is None. Raises Invalid if there is none."""
        try:
            latest = self.listed(template_id)
        except NotFound as error:
            raise Invalid.of(f"{FIELD}.id", Fault.NOT_A_TEMPLATE) from error
        found = latest if version in (None, latest.version) else self._templates.version(template_id, version or 0)
        if found is None:
            raise Invalid.of(f"{FIELD}.version", Fault.NOT_A_VERSION)
        return found

    def behind(self, template_id: str, version: str, text: str, texts: Texts) -> TemplateLink | None:
        """The version that has these texts, None if they differ or there is no such version."""
        try:
            found = self.version(template_id, version)
        except NotFound:
            return None
        return found.link if (found.text, found.texts) == (text, texts) else None


def _checked(template_id: str) -> str:
    if not is_template_id(template_id):
        raise NotFound(Fault.NO_SUCH_TEMPLATE, name=repr(template_id[:80]))
    return template_id
