"""An empty service for each test of the admin UI, and a browser that is signed in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.domain.users import Role
from tests.support.api import Api, new_api
from tests.support.browsing import Browser
from tests.support.campaign import Campaign, new_campaign


@pytest.fixture
def api() -> Iterator[Api]:
    """An empty service; nothing is dispatched or sent."""
    with new_api() as made:
        yield made


@pytest.fixture
def stranger(api: Api) -> Browser:
    """A browser in which nobody is signed in."""
    return Browser(api)


@pytest.fixture
def browser(stranger: Browser) -> Browser:
    """A browser in which the admin is signed in."""
    stranger.sign_in()
    return stranger


@pytest.fixture
def operators_browser(api: Api) -> Browser:
    """A browser in which an operator is signed in, who is not an admin."""
    made = Browser(api)
    made.sign_in(Role.OPERATOR)
    return made


@pytest.fixture
def campaign() -> Iterator[Campaign]:
    """A service that sends, on a virtual clock."""
    with new_campaign() as made:
        yield made


@pytest.fixture
def on_call(campaign: Campaign) -> Browser:
    """The browser of who plans mailings in that service, and is called when something fails."""
    made = Browser(campaign.api)
    made.sign_in()
    return made
