"""An empty service for each test of the REST API, and one whose workers work too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.api import Api, new_api
from tests.support.campaign import Campaign, new_campaign


@pytest.fixture
def api() -> Iterator[Api]:
    """An empty service, called as its admin; nothing is dispatched or sent."""
    with new_api() as made:
        yield made


@pytest.fixture
def campaign() -> Iterator[Campaign]:
    """An empty service with dispatchers, senders and a scripted gateway on a virtual clock."""
    with new_campaign() as made:
        yield made
