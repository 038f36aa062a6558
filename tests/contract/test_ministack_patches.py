"""The patches of MiniStack fit the installed release, and each is documented for its authors."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from infra.local import ministack_patches

ROOT = Path(__file__).parents[2]
PATCHES = re.findall(r"from infra\.local\.(\w+) import", Path(ministack_patches.__file__).read_text())


def test_they_fit_the_installed_release() -> None:
    """Expects the release that they were made for. Before another one is used: look in docs/upstream.md whether it
    fixes a fault (then its patch goes), run the tests that are named there, and write the new release into the
    module.
    """
    assert version("ministack") == ministack_patches.RELEASE
    assert f"ministack=={ministack_patches.RELEASE}" in (ROOT / "requirements-dev.in").read_text()


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module, names in ministack_patches.REPLACED.items() for name in names]
)
def test_what_they_replace_exists(module: str, name: str) -> None:
    """Expects MiniStack to have what a patch replaces, as it would fix nothing otherwise."""
    assert hasattr(import_module(module), name)


def test_each_is_documented() -> None:
    """Expects a section in docs/upstream.md with its file, and tests that exist."""
    sections = (ROOT / "docs/upstream.md").read_text().split("\n## ")[1:]
    told = {name: one for one in sections for name in re.findall(r"^`infra/local/(\w+)\.py`$", one, re.MULTILINE)}
    assert set(told) == set(PATCHES)
    for section in told.values():
        for part in ("**Symptom.**", "**Cause.**", "**Patch.**", "**How to test.**"):
            assert part in section
        tests = re.findall(r"`(tests/[\w/]+\.py)`", section)
        assert tests
        assert all((ROOT / test).is_file() for test in tests)
