"""The Lambda zip: what is in it, what is not, and what the person reads who gets none."""

from __future__ import annotations

import re
from pathlib import Path
from zipfile import ZipFile

import pytest

from infra.package import MAX_ZIP_BYTES, PackagingError, Target, package
from tests.contract.packaged import Packaged

ROOT = Path(__file__).parents[2]


def _names(packaged: Packaged) -> list[str]:
    with ZipFile(packaged.deployment) as deployment:
        return deployment.namelist()


def test_the_zip_is_small_enough_to_start_quickly(packaged: Packaged) -> None:
    """Expects less than 25 MB."""
    assert packaged.deployment.stat().st_size < MAX_ZIP_BYTES == 25 * 1024 * 1024


def test_the_zip_holds_the_service_and_nothing_else_of_ours(packaged: Packaged) -> None:
    """Expects every module, template, script and catalog of chalicelib, and neither tests nor what runs only here."""
    names = set(_names(packaged))
    files = [path for path in (ROOT / "chalicelib").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {".py", ".html", ".txt", ".css", ".js", ".po"} == {path.suffix for path in files}
    assert {str(path.relative_to(ROOT)) for path in files} | {"app.py", "chalice/app.py"} <= names
    assert not [name for name in names if name.startswith(("infra/", "tests/", ".chalice/", "bin/"))]
    assert not [name for name in names if name.endswith(".pyc")]
    assert not {"ministack", "moto", "pytest", "yaml"} & {name.partition("/")[0] for name in names}


def test_the_zip_holds_every_locked_package_at_its_version(packaged: Packaged) -> None:
    """Expects those of requirements.txt, and no other."""
    locked = re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    found = re.findall(r"^([\w.]+)-([\w.]+)\.dist-info/METADATA$", "\n".join(_names(packaged)), re.MULTILINE)
    assert {(name.replace("_", "-").lower(), version) for name, version in found} == set(locked)


def test_compiled_code_is_for_lambdas_processor_and_python(packaged: Packaged) -> None:
    """Expects wheels for any machine, or for 64-bit ARM and this Python (or any later one)."""
    with ZipFile(packaged.deployment) as deployment:
        wheels = [deployment.read(name).decode() for name in deployment.namelist() if name.endswith("/WHEEL")]
    tags = [re.findall(r"^Tag: (\S+)-(\S+)-(\S+)$", wheel, re.MULTILINE) for wheel in wheels]
    compiled = [found for found in tags if found[0][2] != "any"]
    assert len(compiled) >= 3
    for found in compiled:
        assert any(platform.endswith("aarch64") and abi in ("cp312", "abi3") for _, abi, platform in found)


def test_a_package_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Expects no half-made package where the package index does not have what is locked."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(PackagingError, match=r"(?s)could not be had for python3.12 on arm64.*annotated-types"):
        package("dev", tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("stage", ["", "Dev", "a/b", "../x", "x" * 17])
def test_a_stage_that_cannot_be_in_a_name_is_refused(stage: str, tmp_path: Path) -> None:
    """Expects the reason, before anything is done."""
    with pytest.raises(PackagingError, match="is no stage"):
        package(stage, tmp_path)


def test_a_processor_that_lambda_does_not_have_is_refused(tmp_path: Path) -> None:
    """Expects the ones that it has to be named."""
    with pytest.raises(PackagingError, match="'riscv64', only arm64, x86_64"):
        package("dev", tmp_path, Target("3.12", "riscv64"))
