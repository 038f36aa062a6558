"""Empty tables for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.storage.engines import Store, in_process, on_moto


@pytest.fixture(
    params=[pytest.param(on_moto, id="moto", marks=pytest.mark.proof), pytest.param(in_process, id="ministack")]
)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """The repositories on each of the engines: what works on only one of them is a mistake."""
    with request.param() as made:
        yield made


@pytest.fixture
def faulty() -> Iterator[Store]:
    """The repositories on an engine that can be made to fail, and that counts its calls."""
    with in_process() as made:
        yield made
