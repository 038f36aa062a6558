"""Unit tests open no socket; one that is about sockets says so with `@pytest.mark.enable_socket`."""

from __future__ import annotations

import pytest
from hypothesis import settings
from pytest_socket import disable_socket, enable_socket

# The same examples in every run, and no bound on the time of one: a busy machine is no fault of the code.
settings.load_profile("ci")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("enable_socket"):
        enable_socket()
    else:
        disable_socket(allow_unix_socket=True)  # asyncio's own event loop needs a pair of them


def pytest_runtest_teardown() -> None:
    enable_socket()
