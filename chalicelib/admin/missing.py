"""Every other address below /admin/: a page that says that there is none."""

from __future__ import annotations

from .routing import Pages, no_such_page

pages = Pages()
pages.get("/admin/{proxy+}", roles=None)(no_such_page)
