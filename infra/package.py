"""Makes the Lambda zip and the complete CloudFormation template; `python -m infra.package --stage dev dist` runs it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.bytecode import add_bytecode
from infra.rollout import ALIAS, FUNCTION
from infra.template import Target, merge_template

ROOT = Path(__file__).parents[1]
LAMBDA = Target(python="3.12", architecture="arm64")
MAX_ZIP_BYTES = 25 * 1024 * 1024
_NEWEST_GLIBC = 34  # 2.34, of Amazon Linux 2023, which Lambda's Python 3.12 and later run on
_STAGE = re.compile(r"[a-z][a-z0-9-]{0,15}")
_MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
_TIMEOUT = 300  # seconds for each program that is started
_UNUSED = ("bin", "*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED")
# botocore's data for all of AWS would be two thirds of the zip; only these services are called.
AWS_SERVICES = frozenset({"dynamodb", "lambda", "secretsmanager", "sesv2", "sqs"})

NOT_COMPILED = "There is no Python {} on this machine to compile modules with: functions start about a second later"


class PackagingError(Exception):
    """The package could not be made; the text says why, for a person."""


def package(stage: str, out: Path, target: Target = LAMBDA) -> bool:
    """Write deployment.zip and template.json into the directory `out`. Raises PackagingError.

    Needs a package index and no AWS account. The zip's packages are those of requirements.txt with their hashes.
    Returns whether it has compiled modules too, which needs the target's Python on this machine.
    """
    if not _STAGE.fullmatch(stage):
        raise PackagingError(f"{stage!r} is not a stage name: use a-z, 0-9 and -, at most 16 characters")
    with TemporaryDirectory() as temporary:
        project = Path(temporary)
        _copy_project(project)
        _install_requirements(project / "vendor", target)
        merge = project / "merge.json"
        merge.write_text(json.dumps(merge_template(target)), encoding="utf-8")
        made = project / "made"
        _run_chalice(project, "package", "--stage", stage, "--merge-template", merge.name, made.name)
        _call_alias(made / "sam.json")
        compiled = add_bytecode(made / "deployment.zip", target.python)
        _check_size(made / "deployment.zip")
        out.mkdir(parents=True, exist_ok=True)
        shutil.move(made / "deployment.zip", out / "deployment.zip")
        shutil.move(made / "sam.json", out / "template.json")
    return compiled


def check(*templates: Path) -> None:
    """Check templates with cfn-lint. Raises PackagingError with what it found."""
    command = [_program("cfn-lint"), "--config-file", str(ROOT / ".cfnlintrc"), *map(str, templates)]
    _run(command, ROOT, "the template is wrong")


def this_machine() -> Target:
    """The Python and processor here, for an emulator that runs functions as processes of its own machine."""
    return Target(f"{sys.version_info.major}.{sys.version_info.minor}", architecture())


def architecture() -> str:
    """The processor here, as Lambda names it."""
    machine = platform.machine()
    return "arm64" if machine in ("arm64", "aarch64") else machine


def _copy_project(project: Path) -> None:
    shutil.copy(ROOT / "app.py", project)
    for name in ("chalicelib", ".chalice"):
        ignore = shutil.ignore_patterns("__pycache__", "deployments", "deployed", "venv")
        shutil.copytree(ROOT / name, project / name, ignore=ignore)


def _install_requirements(directory: Path, target: Target) -> None:
    """Install the packages in a directory that Chalice adds to the zip unchanged.

    Chalice itself would take wheels for the Python that runs it, check no hash, and leave out what it cannot find.
    """
    machine = _MACHINES.get(target.architecture)
    if machine is None:
        raise PackagingError(f"Lambda does not have the processor {target.architecture!r}; use {', '.join(_MACHINES)}")
    names = [f"manylinux_2_{minor}_{machine}" for minor in range(17, _NEWEST_GLIBC + 1)]
    platforms = [option for name in (*names, f"manylinux2014_{machine}") for option in ("--platform", name)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    pip += ["--require-hashes", "--only-binary", ":all:", "--implementation", "cp", "--python-version", target.python]
    requirements = ["--target", str(directory), "--requirement", str(ROOT / "requirements.txt")]
    _run(
        [*pip, *platforms, *requirements],
        ROOT,
        f"the packages of requirements.txt could not be had for {target.runtime} on {target.architecture}",
    )
    unused = [path for pattern in _UNUSED for path in directory.glob(pattern)]
    unused += [path for path in (directory / "botocore" / "data").iterdir() if path.is_dir()]
    for path in unused:
        if path.name not in AWS_SERVICES:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _run_chalice(project: Path, *arguments: str) -> None:
    # Packaging asks AWS nothing, and app.py must not be changed by settings of whoever runs it. Of the region only the
    # partition matters, to the names of AWS's own services.
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    # Chalice imports the app, and would put the bytecode that this leaves into the zip.
    environment |= {"AWS_DEFAULT_REGION": region, "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    _run([_program("chalice"), *arguments], project, "chalice package failed", environment)


def _call_alias(template: Path) -> None:
    """Let API Gateway call the alias of the API's function, which Chalice cannot do."""
    text = template.read_text(encoding="utf-8")
    called = text.replace(f"/functions/${{{FUNCTION}.Arn}}/", f"/functions/${{{FUNCTION}.Arn}}:{ALIAS}/")
    template.write_text(called, encoding="utf-8")


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _run(command: list[str], directory: Path, problem: str, environment: dict[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackagingError(f"{problem}: {error}") from error
    if done.returncode:
        raise PackagingError(f"{problem}:\n{(done.stdout + done.stderr).strip()}")


def _check_size(deployment: Path) -> None:
    size = deployment.stat().st_size
    if size > MAX_ZIP_BYTES:
        raise PackagingError(
            f"the zip has {size:,} bytes, more than {MAX_ZIP_BYTES:,}; see what requirements.in brings in"
        )


def main() -> int:
    """Package, check, and print where the result is. Returns 1, with the reason printed, if that failed."""
    parser = argparse.ArgumentParser(prog="python -m infra.package", description=__doc__)
    parser.add_argument("--stage", default="dev", help="the stage of .chalice/config.json (default: dev)")
    parser.add_argument(
        "--this-machine", action="store_true", help="for an emulator that runs functions with this Python and processor"
    )
    parser.add_argument("out", type=Path, help="the directory for deployment.zip and template.json")
    options = parser.parse_args()
    target = this_machine() if options.this_machine else LAMBDA
    try:
        compiled = package(options.stage, options.out, target)
        check(options.out / "template.json")
    except PackagingError as error:
        print(f"Not packaged: {error}", file=sys.stderr)  # noqa: T201 - a command talks to a person
        return 1
    size = (options.out / "deployment.zip").stat().st_size / 1024 / 1024
    print(f"{options.out}/deployment.zip ({size:.1f} MB, {target.runtime}, {target.architecture})")  # noqa: T201
    print(f"{options.out}/template.json (stage {options.stage})")  # noqa: T201
    if not compiled:
        print(NOT_COMPILED.format(target.python))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
