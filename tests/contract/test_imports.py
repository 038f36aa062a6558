"""Imports point one way, and importing asks for nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]


def test_the_import_rules_hold(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Expects every contract of pyproject.toml to be kept."""
    monkeypatch.chdir(ROOT)
    broken = lint_imports(config_filename="pyproject.toml", no_cache=True, no_logo=True)
    assert not broken, capsys.readouterr().out


def test_every_module_is_imported_without_aws_and_without_settings() -> None:
    """Expects no module to need a variable of the environment, a region or a network, and none to print."""
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "chalicelib").rglob("*.py")]
    modules = sorted(name.removesuffix(".__init__") for name in names)
    assert len(modules) > 30
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import app, {', '.join(modules)}"],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
