"""Imports point one way, and importing a module needs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app import app
from chalicelib import api
from chalicelib.config import DEFAULT_PREFIX
from tests.contract.packaged import FUNCTION, STACK, Packaged, in_stack

# What each function may do without until it is first called for, and what only a person's requests need.
WEB = {"pydantic", "jinja2", "polib", "prometheus_client", "argon2", "chalicelib.api", "chalicelib.admin"}
WEB |= {"phonenumbers", "chalicelib.emails", "chalicelib.web", "boto3"}
BEHIND = ("tick", "report", "dispatcher", "sender", "receiver")  # all functions but the API's
MOST = 616  # modules that such a function imports before its first event; the API's are about 80 more
ROOT = Path(__file__).parents[2]


def test_the_import_rules_hold() -> None:
    """Expects every contract of pyproject.toml to be kept. In a process of its own, since it turns off other
    loggers."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [program, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_is_imported_without_aws_and_without_settings() -> None:
    """Expects no module to need a variable of the environment, a region or a network, and none to print anything."""
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


def _imported_by(function: str) -> tuple[set[str], int]:
    """The modules imported in a process of that function before its first event, and the number of its routes."""
    code = "import sys, app; print(len(app.app.routes)); print(*sys.modules, sep='\\n')"
    environment = {"AWS_LAMBDA_FUNCTION_NAME": f"{DEFAULT_PREFIX}-{function}"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    routes, *modules = done.stdout.splitlines()
    return set(modules), int(routes)


@pytest.mark.parametrize("function", BEHIND)
def test_a_function_starts_without_what_only_web_pages_need(function: str) -> None:
    """Expects no models of the API, no templates and no charts: they would double the time to the first event."""
    modules, routes = _imported_by(function)
    assert routes == 0
    assert WEB & modules == set()
    assert len(modules) <= MOST


def test_the_api_starts_with_its_routes_and_without_web_pages() -> None:
    """Expects every route in the API's own function, but charts and passwords only once a request needs them."""
    modules, routes = _imported_by("api")
    assert routes == len(app.routes)
    assert routes >= len({one.path for each in api.ROUTES for one in each.operations})
    assert {"argon2", "prometheus_client", "chalicelib.emails"} & modules == set()


def test_a_function_knows_itself_by_the_name_that_the_template_gives_it(packaged: Packaged) -> None:
    """Expects the names by which app.py and these tests tell functions apart, each with its handler."""
    handlers = {
        in_stack(one["FunctionName"]).removeprefix(f"{STACK}-"): one["Handler"]
        for one in packaged.properties(FUNCTION).values()
    }
    assert handlers == {"api": "app.app"} | {name: f"app.{name}" for name in BEHIND}
