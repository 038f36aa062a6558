"""`make screenshots`: pictures of the main pages for the README, of a service in use, in docs/images."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser.conftest import LAPTOP, PHONE
from tests.pictures.demonstration import fill, misbehave
from tests.support.chromium import chromium
from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, LocalRun, local_runs, wait_until

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
MAX_BYTES = 150_000
_IN_A_HURRY = {"MAX_ATTEMPTS": "3", "RETRY_BASE": "0.2", "RETRY_CAP": "1", "CIRCUIT_THRESHOLD": "60"}


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture."""

    name: str
    path: str
    dark: bool = False
    phone: bool = False
    height: int = 0  # pixels, where it is not the usual one

    @property
    def file(self) -> Path:
        look = ("-phone" if self.phone else "") + ("-dark" if self.dark else "")
        return IMAGES / f"{self.name}{look}.png"


SHOTS = [
    Shot("overview", "/admin", height=1080),
    Shot("overview", "/admin", dark=True, height=1080),
    Shot("overview", "/admin", phone=True),
    Shot("mailing", "/admin/mailings/{running_id}", phone=True, dark=True),
    Shot("mailing", "/admin/mailings/{running_id}", dark=True),
    Shot("order", "/admin/mailings/{next_id}/edit"),
    Shot("import", "/admin/clients/imports/{import_id}"),
    Shot("clients", "/admin/clients", phone=True),
    Shot("message", "/admin/messages/{message_id}", phone=True, dark=True),
    Shot("failed-messages", "/admin/queues"),
]


@contextmanager
def service(directory: Path) -> Iterator[LocalRun]:
    """The embedded stack with a gateway that fails now and then."""
    gateway = FaultyGateway(latency=0.02)
    misbehave(gateway)
    try:
        with local_runs(directory) as start:
            environ = {"GATEWAY_URL": gateway.url, "GATEWAY_TOKEN": "demo", "ADMIN_USERNAME": "operator"}
            yield start(**environ, **_IN_A_HURRY).ready()
    finally:
        gateway.stop()


def signed_in(browser: Browser, run: LocalRun, shot: Shot) -> Page:
    """A browser page with these settings, signed in."""
    screen = PHONE if shot.phone else LAPTOP
    context = browser.new_context(
        base_url=run.url,
        locale="en-GB",
        timezone_id="Europe/Moscow",
        color_scheme="dark" if shot.dark else "light",
        viewport={"width": screen["width"], "height": shot.height or screen["height"]},
    )
    page = context.new_page()
    page.goto("/admin/login")
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill(run.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin")
    return page


def shrink(file: Path) -> None:
    """Keep 256 colors, which is all that a page has except for the edges of letters: a third of the size."""
    with Image.open(file) as picture:
        few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(file, optimize=True)


def main(shots: list[Shot] = SHOTS) -> int:
    """Exit code 1 if a picture is too large for a README."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, service(Path(directory)) as run, chromium() as browser:
        api = ApiCaller(run, username="operator")
        parameters = fill(run, api)
        path = f"/api/mailing/{parameters['running_id']}"
        wait_until(lambda: api.call("GET", path)["counts"]["sent"] > 1400, 300)
        for shot in shots:
            page = signed_in(browser, run, shot)
            page.goto(shot.path.format(**parameters))
            page.wait_for_load_state("networkidle")
            page.screenshot(path=shot.file)
            page.context.close()
            shrink(shot.file)
            sys.stdout.write(f"{shot.file.relative_to(IMAGES.parents[1])} {shot.file.stat().st_size // 1000} KB\n")
        api.close()
    return int(any(shot.file.stat().st_size > MAX_BYTES for shot in shots))


if __name__ == "__main__":
    sys.exit(main())
