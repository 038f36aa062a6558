"""/admin/static/: the stylesheet and scripts, which browsers keep until they change."""

from __future__ import annotations

from ..domain.errors import NotFound
from ..domain.faults import Fault
from ..web.request import Text
from . import assets
from .page_request import PageRequest
from .routing import Pages

pages = Pages()
_YEAR = 365 * 24 * 3600


@pages.get("/admin/static/{name}", roles=None)
def read_static_file(request: PageRequest, name: str) -> Text:
    """A file. Its path in pages changes with its content, so browsers may cache it for ever."""
    if name not in assets.MEDIA_TYPES:
        raise NotFound(Fault.NO_SUCH_FILE)
    kept = f"public, max-age={_YEAR}, immutable" if request.query_values else "no-cache"
    headers = {"Cache-Control": kept, "ETag": f'"{assets.version(name)}"'}
    return Text(assets.content(name), assets.MEDIA_TYPES[name], headers)
