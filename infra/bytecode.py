"""Puts compiled modules into the Lambda zip, because a function would compile them again at each cold start."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from infra.pythons import find_python

_TIMEOUT = 300  # seconds
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the same for the same code, so that a deploy without a change has none


def add_bytecode(deployment: Path, python: str) -> bool:
    """Compile all modules in the zip for a Python such as "3.12". Returns False if this machine does not have it.

    Compiled modules have the hash of their source, so a module that is changed in the zip is compiled again.
    """
    program = find_python(python)
    if program is None:
        return False
    with TemporaryDirectory() as directory:
        with ZipFile(deployment) as zipped:
            zipped.extractall(directory)
        compiling = [program, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "-s", directory]
        # Some packages ship files for other Pythons, which do not compile; nobody imports them.
        subprocess.run(
            [*compiling, "-p", "/var/task", directory],
            env={"PYTHONHASHSEED": "0"},
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
        with ZipFile(deployment, "a", ZIP_DEFLATED) as zipped:
            for compiled in sorted(Path(directory).rglob("*.pyc")):
                entry = ZipInfo(str(compiled.relative_to(directory)), _EARLIEST)
                entry.external_attr = 0o644 << 16
                zipped.writestr(entry, compiled.read_bytes(), ZIP_DEFLATED)
    return True
