"""All other addresses under /admin/: a page that says nothing is there."""

from __future__ import annotations

from .routing import Pages, no_such_page

pages = Pages()
pages.get("/admin/{proxy+}", roles=None)(no_such_page)
