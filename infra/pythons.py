"""Finds a Python of another version on this machine; `python -m infra.pythons 3.13` prints where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
_TIMEOUT = 30  # seconds


def find_python(version: str) -> str | None:
    """A Python of exactly this version, such as "3.12": this one, one on the path, or one of pyenv's.

    None if there is none.
    """
    for candidate in _candidates(version):
        # A name on the path may be a stand-in for one that is not installed.
        asked = subprocess.run(
            [candidate, "-c", _VERSION], capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
        if asked.returncode == 0 and asked.stdout.strip() == version:
            return candidate
    return None


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    if found := shutil.which(f"python{version}"):
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from (str(path) for path in sorted(pyenv.glob(f"versions/{version}*/bin/python{version}"), reverse=True))


def main() -> int:
    """Print where that Python is. Returns 1, with what to do, if there is none."""
    version = sys.argv[1]
    found = find_python(version)
    if found is None:
        sys.stderr.write(f"Python {version} is needed and is neither on PATH nor among pyenv's: install it\n")
        return 1
    sys.stdout.write(f"{found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
