"""What the API and the admin UI both take of a request to import a file."""

from __future__ import annotations

from typing import Literal

MOST_COLUMNS = 500  # that a request may tell of
Separator = Literal["", ",", ";", "\t", "|"]
