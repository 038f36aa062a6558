"""CI: one file for any machine, one for GitLab, and both run the same checks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "run"
PIPELINE = ROOT / ".gitlab-ci.yml"


def _targets(lines: list[str]) -> set[str]:
    """The targets of `make` that a script's lines run."""
    words = [word for line in lines if line.startswith("make ") for word in line.split()[1:]]
    return {word for word in words if "=" not in word}


def _pipeline_lines() -> list[str]:
    pipeline = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))
    jobs = [value for value in pipeline.values() if isinstance(value, dict)]
    return [line for job in jobs for key in ("before_script", "script") for line in job.get(key, [])]


def test_the_pipeline_is_valid_for_gitlab() -> None:
    """Expects no complaint from GitLab's own schema, as check-jsonschema has it."""
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [program, "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", PIPELINE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# What GitLab runs and .ci/run does not, and why.
ONLY_GITLAB = {
    "make audit": "asks PyPI, which a machine without a network cannot; it stops nothing in GitLab either",
    "make deploy": "wants an account, and a person who presses the button",
    "docker compose": "wants Docker; `make proof` deploys the same package into MiniStack",
    "export ADMIN_PASSWORD": "prepares docker compose",
    "apt-get update": "installs the Python of the emulators; without it `make proof` says what is missing and fails",
    "test -n": "refuses a deploy without a password",
    "export AWS_WEB_IDENTITY_TOKEN_FILE": "signs in to AWS for a deploy",
    "printf %s": "the same",
}


def test_the_script_runs_all_that_gitlab_runs() -> None:
    """Expects the same targets of `make` in both, except for those with a reason, and no reason without a target."""
    here, there = _targets(SCRIPT.read_text(encoding="utf-8").splitlines()), _targets(_pipeline_lines())
    assert {"lint", "types", "imports", "secrets", "test", "package", "template"} <= here
    assert {f"make {target}" for target in there - here} == {name for name in ONLY_GITLAB if name.startswith("make ")}
    assert here <= there


def test_every_other_command_of_gitlab_has_a_reason() -> None:
    """Expects every other line of a job to be listed with the reason why .ci/run has no such line."""
    other = [line for line in _pipeline_lines() if not line.startswith("make ")]
    others = {name for name in ONLY_GITLAB if not name.startswith("make ")}
    assert {name for line in other for name in others if line.startswith(name)} == others
    assert [line for line in other if not line.startswith(tuple(others))] == []


def _recipe(target: str) -> str:
    """The commands of a target of `make`, as a shell gets them."""
    command = ["make", "--dry-run", "--assume-old", ".venv/.requirements", target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT)
    return done.stdout.partition("git ls-files")[2] if target == "secrets" else done.stdout


def test_make_lets_python_keep_bytecode(tmp_path: Path) -> None:
    """Expects `make` to unset an image's PYTHONDONTWRITEBYTECODE: without bytecode the tests take twice as long."""
    shown = tmp_path / "show.mk"
    shown.write_text("show:\n\t@env\n", encoding="utf-8")
    command = ["make", "--silent", "-f", ROOT / "Makefile", "-f", shown, "show"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert "PATH=" in done.stdout
    assert "PYTHONDONTWRITEBYTECODE" not in done.stdout


def test_a_committed_key_is_found(tmp_path: Path) -> None:
    """Expects `make secrets` to name its file, and to accept what only looks like a key."""
    scan = _recipe("secrets").partition("xargs -0 ")[2].strip().replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    made = {
        "harmless.py": 'MAILING = "/mailing/01KJPWD6M099CBF4EZDBRXGRED/stats"\n',
        "alphabet.py": 'ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"\n',
        "bad.py": 'TOKEN = "' + "ghp_" + "8s7Dk2Lq9XvB4nR6tY1wZ3cF5hJ0mP7aQeUi" + '"\n',  # pragma: allowlist secret
        "aws.ini": "aws_access_key_id = " + "AKIA" + "Q3EGRIT7YW5ZK2LM" + "\n",
    }
    for name, text in made.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    shell = ["bash", "-c", f"printf '%s\\0' {' '.join(made)} | xargs -0 {scan}"]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode != 0
    assert {name for name in made if f"{name}:" in done.stdout} == {"bad.py", "aws.ini"}


# Loaded by Python when it starts: every page that is asked for is not there.
NOTHING_FOUND = """
import requests

def send(self, request, **options):
    answer = requests.Response()
    answer.status_code, answer.url, answer.request, answer._content = 404, request.url, request, b""
    return answer

requests.Session.send = send
"""


def test_an_audit_without_data_fails(tmp_path: Path) -> None:
    """Expects `make audit` to fail if the index knows no package, as with a mirror that lacks that page."""
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8").partition("\nargon2-cffi-bindings==")[0]
    (tmp_path / "requirements-dev.txt").write_text(pinned + "\n", encoding="utf-8")
    (tmp_path / "sitecustomize.py").write_text(NOTHING_FOUND, encoding="utf-8")
    recipe = _recipe("audit").replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    shell = ["bash", "-c", recipe]
    there = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(tmp_path)}}
    done = subprocess.run(shell, capture_output=True, text=True, timeout=120, check=False, **there)  # type: ignore[call-overload]
    assert done.returncode != 0, done.stdout + done.stderr
    assert "could not be audited" in done.stderr
    assert "PyPI could not be asked about all of them" in done.stderr


def test_a_person_starts_the_deploy_after_all_other_jobs() -> None:
    """Expects the last stage to wait for a person, on the main branch only, and never two deploys of a stage
    at once."""
    pipeline = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))
    job = pipeline[".deploy"]
    assert job["stage"] == pipeline["stages"][-1]
    assert job["rules"] == [{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH", "when": "manual"}]
    assert job["resource_group"] == "$STAGE"
    assert not job["interruptible"]
    stages = {name: one for name, one in pipeline.items() if isinstance(one, dict) and one.get("extends") == ".deploy"}
    for name, one in stages.items():
        assert name == f"deploy {one['variables']['STAGE']}" == f"deploy {one['environment']}"
    chalice = json.loads((ROOT / ".chalice" / "config.json").read_text(encoding="utf-8"))
    assert {one["environment"] for one in stages.values()} == set(chalice["stages"])


def test_the_package_is_deployed_into_localstack_and_sends_to_everyone() -> None:
    """Expects a job that starts docker-compose.yml and runs the demo there, which fails if one message is missing."""
    pipeline = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))
    assert pipeline["stages"].index("e2e") < pipeline["stages"].index("deploy")
    job = pipeline["localstack"]
    assert {name for name, one in pipeline.items() if isinstance(one, dict) and one.get("stage") == "e2e"} == {
        "localstack",
        "proof",
    }
    assert job["script"][0].startswith("docker compose up")
    assert job["script"][1].endswith(" deploy /venv/bin/python -m infra.local.demo")
    assert "rules" not in job
    assert not job.get("allow_failure")


def test_each_check_that_checkov_skips_has_a_reason() -> None:
    """Expects a reason above each skipped check, and none to be skipped twice."""
    lines = (ROOT / ".checkov.yaml").read_text(encoding="utf-8").splitlines()
    skipped = [number for number, line in enumerate(lines) if line.startswith("  - ")]
    assert len(skipped) > 5
    assert all(lines[number - 1].startswith("  # ") for number in skipped)
    names = [lines[number].removeprefix("  - ") for number in skipped]
    assert all(re.fullmatch(r"CKV2?_AWS_\d+", name) for name in names)
    assert len(names) == len(set(names))


def test_cfn_lint_skips_nothing() -> None:
    """Expects settings that leave no rule out."""
    settings = yaml.safe_load((ROOT / ".cfnlintrc").read_text(encoding="utf-8"))
    assert set(settings) == {"regions"}


def test_every_stage_has_a_job_and_every_job_a_stage() -> None:
    """Expects no empty stage."""
    pipeline = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))
    used = {value["stage"] for value in pipeline.values() if isinstance(value, dict) and "stage" in value}
    assert used == set(pipeline["stages"])


def test_the_script_stops_at_the_first_failure() -> None:
    """Expects bash options that hide no error, in a pipe neither."""
    assert os.access(SCRIPT, os.X_OK)
    lines = SCRIPT.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines


def test_the_locks_name_no_index_and_no_machine() -> None:
    """Expects versions and hashes only, so that they hold wherever they are installed."""
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-checkov.txt", "requirements-peer.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"https?://|file://|--index|--extra-index|--find-links| @ ", text)
        pins = re.findall(r"^[a-z0-9].*$", text, re.MULTILINE)
        assert pins
        assert all(re.fullmatch(r"[a-z0-9._-]+==[^\s;]+( ; .+)? \\", pin) for pin in pins)


def test_the_lock_of_npm_has_hashes_and_no_index() -> None:
    """Expects each package of the tests' TypeScript by version and hash, wherever they are installed from."""
    folder = ROOT / "tests" / "generated"
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    root, *packages = lock["packages"].values()
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert root["devDependencies"] == wanted
    assert all(re.fullmatch(r"[\d.]+", version) for version in wanted.values())
    assert packages
    assert all("resolved" not in one and one["integrity"].startswith("sha512-") for one in packages)


def test_the_zip_has_the_versions_that_the_tests_run_with() -> None:
    """Expects each pin of requirements.txt in requirements-dev.txt too."""
    pinned = [
        set(re.findall(r"^([a-z0-9._-]+==\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    ]
    assert pinned[0] <= pinned[1]
