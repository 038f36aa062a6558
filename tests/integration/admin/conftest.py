"""An empty service for each test of the admin UI, and a browser that is signed in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.domain.users import Role
from tests.support.api import Api, new_api
from tests.support.browsing import Browser
from tests.support.campaign import Campaign, new_campaign
from tests.support.kept_state import set_up

# Who is signed in from the beginning if the fixture is asked for: once for all tests, since it takes its time.
SIGNED_IN = {"browser": Role.ADMIN, "operators_browser": Role.OPERATOR}


@pytest.fixture
def api(request: pytest.FixtureRequest) -> Iterator[Api]:
    """An empty service; nothing is dispatched or sent."""
    with new_api() as made:
        roles = tuple(role for name, role in SIGNED_IN.items() if name in request.fixturenames)
        made.signed_in = set_up(("signed in", *roles), lambda: {role: _signed_in(made, role) for role in roles})
        yield made


def _signed_in(api: Api, role: Role) -> tuple[dict[str, str], str]:
    """Sign in by the form; answers the cookies and the token of forms."""
    browser = Browser(api)
    browser.sign_in(role)
    return browser.cookies, browser.csrf


@pytest.fixture
def stranger(api: Api) -> Browser:
    """A browser that is signed out."""
    return Browser(api)


@pytest.fixture
def browser(stranger: Browser) -> Browser:
    """A browser that is signed in as the admin."""
    stranger.go_on_as(Role.ADMIN)
    return stranger


@pytest.fixture
def operators_browser(api: Api) -> Browser:
    """A browser that is signed in as an operator, who is not an admin."""
    made = Browser(api)
    made.go_on_as(Role.OPERATOR)
    return made


@pytest.fixture
def campaign() -> Iterator[Campaign]:
    """A service that sends, on a virtual clock."""
    with new_campaign() as made:
        yield made


@pytest.fixture
def on_call(campaign: Campaign) -> Browser:
    """The browser of the person who plans mailings in that service, and is called when something fails."""
    made = Browser(campaign.api)
    made.sign_in()
    return made
