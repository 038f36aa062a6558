"""The system's Chromium (CHROMIUM says another place), as the browser tests and the screenshots use it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.support.programs import program

_OPTIONS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser without a window."""
    # Chromium's sandbox does not work for root, as which containers run.
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or program("chromium", "chromium-browser"),
            args=[*_OPTIONS, *sandbox],
        )
        try:
            yield browser
        finally:
            browser.close()
