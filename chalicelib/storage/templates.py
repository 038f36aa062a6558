"""Templates, in the settings table: an item for each version, and one for each name, which make up the list.

A deleted template is removed from the list, so that its name is free; its versions stay, with a mark.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime

from pynamodb.expressions.condition import Condition
from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.audit_acts import template_act
from ..domain.errors import Conflict, NotFound
from ..domain.excerpts import excerpt
from ..domain.faults import Fault
from ..domain.templates import Template, TemplateEntry
from .audit import AuditLog
from .dynamodb import transact, translated
from .models import SettingModel
from .tables import Tables

_NAMES = "templates"
_DELETED = "~deleted"  # after all versions


class TemplateRepository:
    """Stores templates. Names are unique, ignoring case."""

    def __init__(self, tables: Tables, backoff: Backoff) -> None:
        self._model = tables.settings
        self._connection = tables.connection
        self._backoff = backoff
        self._audit = AuditLog(tables, backoff)

    def add(self, template: Template) -> None:
        """Add the first version of a new template. Raises Conflict if its name is taken."""

        def run(transaction: TransactWrite) -> None:
            self._save(transaction, template)
            transaction.save(self._named(template), condition=self._model.scope.does_not_exist())
            self._audit.note(transaction, template_act(None, template), template.changed_at)

        if not self._done(run, template):
            raise Conflict(Fault.TEMPLATE_NAME_TAKEN)

    def change(self, old: Template, new: Template) -> None:
        """Add the next version. Raises Conflict if there is one already, or if its name is taken."""
        renamed = _key(old.name) != _key(new.name)

        def run(transaction: TransactWrite) -> None:
            self._save(transaction, new)
            if renamed:
                transaction.delete(self._named(old), condition=self._is(old))
            free = self._model.scope.does_not_exist() if renamed else self._is(old)
            transaction.save(self._named(new), condition=free)
            self._audit.note(transaction, template_act(old, new), new.changed_at)

        if not self._done(run, new):
            latest = self.latest(old.template_id)
            same = (latest.version, latest.deleted) == (old.version, False)
            raise Conflict(Fault.TEMPLATE_NAME_TAKEN if same else Fault.TEMPLATE_CHANGED)

    def delete(self, template: Template, username: str, now: datetime) -> bool:
        """Remove a template from the list. Returns False if it was changed or deleted since it was read."""
        mark = self._model(_scope(template.template_id), _DELETED, changed_by=username, changed_at=now)

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                transaction.delete(self._named(template), condition=self._is(template))
                transaction.save(mark)
                self._audit.note(transaction, template_act(template, None), now)

        with translated("templates"):
            refused = transact(self._backoff, run)
        return not refused or self.latest(template.template_id).deleted

    def latest(self, template_id: str) -> Template:
        """The newest version. Raises NotFound if there never was such a template."""
        with translated("templates"):
            rows = list(self._model.query(_scope(template_id), limit=2, scan_index_forward=False, consistent_read=True))
        versions = [row for row in rows if row.name != _DELETED]
        if not versions:
            raise NotFound(Fault.NO_SUCH_TEMPLATE, name=template_id)
        return _template(versions[0], deleted=rows[0].name == _DELETED)

    def version(self, template_id: str, version: int) -> Template | None:
        """A version by its number, None if there is none. It does not tell whether the template was deleted."""
        with translated("templates"):
            rows = list(
                self._model.query(_scope(template_id), self._model.name == _version_name(version), consistent_read=True)
            )
        return _template(rows[0]) if rows else None

    def versions(self, template_id: str, before: str, limit: int) -> tuple[Sequence[Template], str]:
        """Up to `limit` versions, the newest first, and the start of the next page."""
        earlier = self._model.name < (before or _DELETED)
        with translated("templates"):
            rows = list(self._model.query(_scope(template_id), earlier, limit=limit + 1, scan_index_forward=False))
        return [_template(row) for row in rows[:limit]], rows[limit - 1].name if len(rows) > limit else ""

    def page(self, after: str, limit: int) -> tuple[Sequence[TemplateEntry], str]:
        """Up to `limit` templates ordered by name, and the start of the next page."""
        later = self._model.name > after if after else None
        with translated("templates"):
            rows = list(self._model.query(_NAMES, later, limit=limit + 1))
        return [_entry(row) for row in rows[:limit]], rows[limit - 1].name if len(rows) > limit else ""

    def _done(self, change: Callable[[TransactWrite], None], made: Template) -> bool:
        """Make a change. Returns whether it was made, even if its answer was lost and the repeat was refused."""

        def run() -> None:
            with TransactWrite(connection=self._connection) as transaction:
                change(transaction)

        with translated("templates"):
            refused = transact(self._backoff, run)
        return not refused or self.version(made.template_id, made.version) == made

    def _save(self, transaction: TransactWrite, template: Template) -> None:
        body = {"name": template.name, "text": template.text, "texts": dict(template.texts)}
        row = self._model(
            _scope(template.template_id),
            _version_name(template.version),
            body=json.dumps(body, ensure_ascii=False),
            revision=template.version,
            changed_by=template.changed_by,
            changed_at=template.changed_at,
        )
        transaction.save(row, condition=self._model.scope.does_not_exist())

    def _named(self, template: Template) -> SettingModel:
        begins = {"name": template.name, "begins": excerpt(template.text)}
        return self._model(
            _NAMES,
            _key(template.name),
            owner=template.template_id,
            revision=template.version,
            body=json.dumps(begins, ensure_ascii=False),
            changed_by=template.changed_by,
            changed_at=template.changed_at,
        )

    def _is(self, template: Template) -> Condition:
        same: Condition = (self._model.owner == template.template_id) & (self._model.revision == template.version)
        return same


def _scope(template_id: str) -> str:
    return f"template#{template_id}"


def _version_name(version: int) -> str:
    return f"{version:06d}"


def _key(name: str) -> str:
    return name.casefold()


def _template(row: SettingModel, *, deleted: bool = False) -> Template:
    assert row.changed_at  # noqa: S101 - each has one
    body = json.loads(row.body or "{}")
    return Template(
        template_id=row.scope.partition("#")[2],
        version=int(row.revision or 0),
        name=body["name"],
        text=body["text"],
        texts=tuple(sorted(body["texts"].items())),
        changed_at=row.changed_at,
        changed_by=row.changed_by or "",
        deleted=deleted,
    )


def _entry(row: SettingModel) -> TemplateEntry:
    assert row.changed_at  # noqa: S101 - each has one
    body = json.loads(row.body or "{}")
    return TemplateEntry(
        template_id=row.owner or "",
        version=int(row.revision or 0),
        name=body["name"],
        begins=body["begins"],
        changed_at=row.changed_at,
        changed_by=row.changed_by or "",
    )
