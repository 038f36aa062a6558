"""Limits of import requests that the API and the admin UI share."""

from __future__ import annotations

from typing import Literal

MOST_COLUMNS = 500  # columns that a request may assign
Separator = Literal["", ",", ";", "\t", "|"]
