"""The system's Chromium, as the browser tests and the screenshots use it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

_OPTIONS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
)


def program() -> str:
    """Where Chromium is (CHROMIUM says another place); fails where there is none, rather than passing untested."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "Chromium is not installed: this needs a real browser (Debian: apt install chromium)"
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser without a window."""
    # Chromium's sandbox does not work for root, as which containers run.
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=[*_OPTIONS, *sandbox])
        try:
            yield browser
        finally:
            browser.close()
