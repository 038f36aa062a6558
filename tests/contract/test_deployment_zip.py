"""The Lambda zip: what is in it, what is not, and what is said if it cannot be made."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from infra.bytecode import add_bytecode
from infra.package import AWS_SERVICES, MAX_ZIP_BYTES, PackagingError, Target, package, this_machine
from tests.contract.packaged import FUNCTION, Packaged

ROOT = Path(__file__).parents[2]


def _names(packaged: Packaged) -> list[str]:
    with ZipFile(packaged.deployment) as deployment:
        return deployment.namelist()


def test_the_zip_is_small_enough_to_start_quickly(packaged: Packaged) -> None:
    """Expects less than 25 MB."""
    assert packaged.deployment.stat().st_size < MAX_ZIP_BYTES == 25 * 1024 * 1024


def test_the_zip_holds_the_service_and_nothing_else_of_ours(packaged: Packaged) -> None:
    """Expects every module, template, script and catalog of chalicelib, but neither tests nor what runs only
    locally."""
    names = set(_names(packaged))
    files = [path for path in (ROOT / "chalicelib").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {".py", ".html", ".txt", ".css", ".js", ".po", ".json"} == {path.suffix for path in files}
    assert {str(path.relative_to(ROOT)) for path in files} | {"app.py", "chalice/app.py"} <= names
    assert not [name for name in names if name.startswith(("infra/", "tests/", ".chalice/", "bin/"))]
    assert not {"ministack", "moto", "pytest", "yaml"} & {name.partition("/")[0] for name in names}


def test_the_zip_has_the_aws_services_that_are_called_and_no_other(packaged: Packaged) -> None:
    """Expects those that the roles name: botocore's data about all others would be two thirds of the zip."""
    known = set(re.findall(r"^botocore/data/([\w-]+)/", "\n".join(_names(packaged)), re.MULTILINE))
    allowed = {
        action.partition(":")[0] for name in packaged.properties(FUNCTION) for action, _ in packaged.permissions(name)
    }
    assert known == AWS_SERVICES == {{"ses": "sesv2"}.get(service, service) for service in allowed - {"logs"}}


def test_compiled_modules_are_for_lambdas_python(packaged: Packaged) -> None:
    """Expects none for another Python, and either no compiled modules at all or one for each of ours."""
    names = _names(packaged)
    compiled = [name for name in names if name.endswith(".pyc")]
    assert all(name.endswith(".cpython-312.pyc") for name in compiled)
    ours = [name for name in names if name.startswith("chalicelib/")]
    modules = {name.removesuffix(".py") for name in ours if name.endswith(".py")}
    found = {name.replace("__pycache__/", "").removesuffix(".cpython-312.pyc") for name in ours if name in compiled}
    assert found in (set(), modules)


def _package_of(directory: Path, source: str) -> Path:
    deployment = directory / "deployment.zip"
    with ZipFile(deployment, "w") as zipped:
        zipped.writestr("module.py", source)
        zipped.writestr("broken.py", "print 'of another Python'")
    return deployment


def _value(deployment: Path) -> str:
    """The value of an expression in a module of the zip, unpacked as Lambda does, where nothing can be written."""
    directory = deployment.with_name("unpacked")
    with ZipFile(deployment) as zipped:
        zipped.extractall(directory)
    command = [sys.executable, "-B", "-c", "import module; print(module.VALUE, module.__cached__)"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=30, check=True)
    value, cached = done.stdout.split()
    assert Path(cached).exists()
    return value


def test_a_compiled_module_gives_way_to_a_changed_source(tmp_path: Path) -> None:
    """Expects compiled code to be used only while its source is unchanged, and files that do not compile to be kept."""
    here = this_machine().python
    deployment = _package_of(tmp_path, "VALUE = 1")
    assert add_bytecode(deployment, here)
    assert _value(deployment) == "1"
    with ZipFile(deployment) as zipped:
        contents = {name: zipped.read(name) for name in zipped.namelist()}
    assert sum(name.endswith(".pyc") for name in contents) == 1
    with ZipFile(deployment, "w") as zipped:
        for name, content in (contents | {"module.py": b"VALUE = 2"}).items():
            zipped.writestr(name, content)
    assert _value(deployment) == "2"


def test_the_same_modules_make_the_same_zip(tmp_path: Path) -> None:
    """Expects no time and no path of this machine in it, so that a deploy without a change changes nothing."""
    contents = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        deployment = _package_of(tmp_path / name, "VALUE = {'a', 'b', 'c'}")
        assert add_bytecode(deployment, this_machine().python)
        with ZipFile(deployment) as zipped:
            contents.append([(one.filename, one.date_time, zipped.read(one)) for one in zipped.infolist()[2:]])
    assert contents[0] == contents[1] != []


def test_without_lambdas_python_nothing_is_compiled(tmp_path: Path) -> None:
    """Expects the zip as it was: modules of another Python would only make it larger."""
    deployment = _package_of(tmp_path, "VALUE = 1")
    before = deployment.read_bytes()
    assert not add_bytecode(deployment, "9.9")
    assert deployment.read_bytes() == before


def test_the_zip_holds_every_locked_package_at_its_version(packaged: Packaged) -> None:
    """Expects the packages of requirements.txt, and no other."""
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


def test_a_package_that_cannot_be_downloaded_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Expects no half-made zip if the package index does not have what is locked."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(PackagingError, match=r"(?s)could not be had for python3.12 on arm64.*annotated-types"):
        package("dev", tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("stage", ["", "Dev", "a/b", "../x", "x" * 17])
def test_a_stage_that_is_no_valid_name_is_refused(stage: str, tmp_path: Path) -> None:
    """Expects the reason, before anything is done."""
    with pytest.raises(PackagingError, match="is not a stage name"):
        package(stage, tmp_path)


def test_a_processor_that_lambda_does_not_have_is_refused(tmp_path: Path) -> None:
    """Expects the error to name the processors that it has."""
    with pytest.raises(PackagingError, match="'riscv64'; use arm64, x86_64"):
        package("dev", tmp_path, Target("3.12", "riscv64"))
