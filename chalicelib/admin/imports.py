"""/admin/clients/import: clients from CSV, with progress and what was rejected.

A browser sends a large file in parts, each an import of its own (static/transfers.js); one page shows them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from pydantic import Field, StrictStr

from ..domain.errors import Invalid, Malformed
from ..domain.faults import Fault
from ..domain.imports import COLUMNS, MAX_ROWS, RowError
from ..storage.imports import Import
from ..web.paging import PageQuery
from ..web.parsing import CSV, MAX_CSV
from .page_request import PageRequest
from .routing import Page, Pages, Redirect
from .texts import _, wrong

pages = Pages()
MOST_PARTS = 100
# Characters of a part: below what one request takes even where each has three bytes.
PART = 1_200_000


class PartsQuery(PageQuery):
    """The parts of a file after the first, each as its import's id and what is added to its row numbers: `id.49999`."""

    part: list[StrictStr] = Field(default=[], max_length=MOST_PARTS)

    def parts(self, first: str) -> list[tuple[str, int]]:
        """Import and row offset of each part. Raises Malformed if a part cannot be read."""
        found = [(first, 0)]
        for one in self.part:
            import_id, _dot, offset = one.partition(".")
            if not (offset.isascii() and offset.isdecimal() and len(offset) < 12):
                raise Malformed(Fault.AS_TOLD, text=_("The address is incomplete. Open the import again."))
            found.append((import_id, int(offset)))
        return found

    @property
    def suffix(self) -> str:
        """The query of a page about the same parts."""
        return f"?{urlencode({'part': self.part}, doseq=True)}" if self.part else ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far all parts of a file have come together."""

    parts: Sequence[Import]

    def _sum(self, name: str) -> int:
        return sum(getattr(part, name) for part in self.parts)

    @property
    def rows(self) -> int:
        return self._sum("rows")

    @property
    def accepted(self) -> int:
        return self._sum("accepted")

    @property
    def rejected(self) -> int:
        return self._sum("rejected")

    @property
    def errors(self) -> int:
        return self._sum("errors")

    @property
    def done(self) -> int:
        return self._sum("done")

    @property
    def created(self) -> int:
        return self._sum("created")

    @property
    def changed(self) -> int:
        return self._sum("changed")

    @property
    def unchanged(self) -> int:
        return self._sum("unchanged")

    @property
    def finished(self) -> bool:
        return all(part.finished for part in self.parts)


@pages.get("/admin/clients/import")
def show_import(request: PageRequest) -> Page:
    """Ask for a file."""
    return Page("clients/import.html", {"columns": COLUMNS, "rows": MAX_ROWS, "part": PART, "parts": MOST_PARTS})


@pages.post("/admin/clients/import", shows=show_import, consumes=CSV, max_bytes=MAX_CSV)
def import_clients(request: PageRequest) -> Redirect:
    """Begin to import a file, or a part of one."""
    try:
        started = request.services.imports.start(request.text, request.principal.username)
    except Invalid as error:
        raise Invalid.of("file", Fault.AS_TOLD, text=_about_the_file(error)) from error
    return Redirect(f"/admin/clients/imports/{started.import_id}")


@pages.get("/admin/clients/imports/{import_id}")
def follow_import(request: PageRequest, query: PartsQuery, import_id: str) -> Page:
    """Show how far a file has come, and what is wrong with which row."""
    parts = query.parts(import_id)
    errors, after = _rejected(request, parts, query.place(), query.limit)
    return Page(
        "clients/imported.html",
        {
            "progress": _progress(request, parts),
            "import_id": import_id,
            "suffix": query.suffix,
            "errors": errors,
            "first": not query.cursor,
            "next": query.following(after),
        },
    )


@pages.get("/admin/clients/imports/{import_id}/progress")
def follow_progress(request: PageRequest, query: PartsQuery, import_id: str) -> Page:
    """The part of the page that is looked at again and again."""
    values = {"progress": _progress(request, query.parts(import_id)), "import_id": import_id, "suffix": query.suffix}
    return Page("clients/progress.html", values)


def _progress(request: PageRequest, parts: Sequence[tuple[str, int]]) -> Progress:
    return Progress([request.services.imports.get(import_id) for import_id, _offset in parts])


def _rejected(
    request: PageRequest, parts: Sequence[tuple[str, int]], place: str, limit: int
) -> tuple[list[RowError], str]:
    """Up to `limit` of what is wrong, with the numbers that rows have in the whole file, and the next place."""
    number, _slash, inner = (place or "0/").partition("/")
    index = int(number) if number.isdecimal() else len(parts)
    errors: list[RowError] = []
    while index < len(parts) and len(errors) < limit:
        import_id, offset = parts[index]
        _total, some, inner = request.services.imports.rejected(import_id, inner, limit - len(errors))
        errors += [replace(one, row=one.row + offset) for one in some]
        if inner:
            return errors, f"{index}/{inner}"
        index += 1
    return errors, f"{index}/" if index < len(parts) else ""


def _about_the_file(error: Invalid) -> str:
    told = [(one.field, wrong(one)) for one in error.errors]
    return "; ".join(_("the header %(told)s", told=text) if field == "header" else text for field, text in told)
