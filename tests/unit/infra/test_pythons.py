"""Another version of Python is found where it is, and never a stand-in for one that is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.pythons import find_python

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def _python(path: Path, says: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing but a shell."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def test_this_python_serves_for_its_own_version() -> None:
    """Expects no search."""
    assert find_python(HERE) == sys.executable


def test_a_name_on_the_path_that_is_another_version_is_passed_over(machine: Path) -> None:
    """Expects a shim that fails, or that starts another version, not to be taken, and pyenv's own to be."""
    assert find_python("3.99") is None
    _python(machine / "bin" / "python3.99", "exit 127")
    assert find_python("3.99") is None
    _python(machine / "bin" / "python3.99", "echo 3.98")
    assert find_python("3.99") is None
    _python(machine / "pyenv" / "versions" / "3.99.1" / "bin" / "python3.99", "echo 3.99")
    assert find_python("3.99") == str(machine / "pyenv" / "versions" / "3.99.1" / "bin" / "python3.99")
    _python(machine / "bin" / "python3.99", "echo 3.99")
    assert find_python("3.99") == str(machine / "bin" / "python3.99")


def test_what_is_missing_is_told_in_one_line() -> None:
    """Expects the version, and what to do."""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-m", "infra.pythons", "3.99"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Python 3.99 is needed and is neither on PATH nor among pyenv's: install it\n"
