"""Clients generated from the API's description: type-checked, and used with the running service."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.local_run import ROOT, LocalRun, local_runs
from tests.support.programs import program

PACKAGE = "generated_client"
OPENAPI = ROOT / "docs/openapi.json"
SOURCES = ROOT / "tests/generated"
PYTHON = Path(sys.executable).parent
IMPORT = 'import type { paths } from "./schema.js";\n'
# A body of a POST that a document sends, with the type that the address takes.
SENT = 'export const body%d: NonNullable<paths["%s"]["post"]["requestBody"]>["content"]["application/json"] = %s;\n'
CURL = re.compile(r"""^ "?\$URL(/[^ "?]*)[^']*'Content-Type: application/json'[^']*-d '([^']+)'""")


def done(*command: str | Path, cwd: Path) -> str:
    """The output of a command, which must succeed."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    return ended.stdout


def npm(name: str) -> str:
    """A program from an npm package."""
    return program(str(SOURCES / "node_modules/.bin" / name))


@pytest.fixture(scope="module")
def python_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the package that openapi-python-client makes from docs/openapi.json, and the code that uses
    it."""
    place = tmp_path_factory.mktemp("python")
    for name in ("job.py", "mypy.ini"):
        shutil.copy(SOURCES / name, place)
    options = ("--path", OPENAPI, "--output-path", place / PACKAGE, "--meta", "none")
    said = done(PYTHON / "openapi-python-client", "generate", *options, cwd=place)
    assert "WARNING" not in said, said  # such as an endpoint that was left out
    return place


@pytest.fixture(scope="module")
def typescript_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the types that openapi-typescript makes from docs/openapi.json and the code that uses them,
    compiled."""
    place = tmp_path_factory.mktemp("typescript")
    for name in ("job.ts", "tsconfig.json", "package.json"):
        shutil.copy(SOURCES / name, place)
    (place / "node_modules").symlink_to(SOURCES / "node_modules")
    done(npm("openapi-typescript"), OPENAPI, "-o", "schema.ts", cwd=place)
    sent = [SENT % (number, path, body) for number, (path, body) in enumerate(told())]
    (place / "told.ts").write_text(IMPORT + "".join(sent), encoding="utf-8")
    done(npm("tsc"), "--project", place, cwd=place)
    return place


def told() -> list[tuple[str | Any, ...]]:
    """The bodies that the documents send with curl, and the addresses they are sent to."""
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    calls = [call for file in documents for call in file.read_text(encoding="utf-8").split("curl -s")]
    return [found.groups() for call in calls if (found := CURL.match(call))]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    """One service for all of these tests, which sends nothing."""
    with local_runs(tmp_path_factory.mktemp("run")) as started:
        yield started().ready()


@pytest.fixture
def generated(python_client: Path) -> Iterator[None]:
    """The package, importable."""
    sys.path.insert(0, str(python_client))
    yield
    sys.path.remove(str(python_client))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


def call(client: Any, operation: str, *arguments: str, **options: Any) -> Any:
    """The answer to an operation, read into its model."""
    return module(f"api.{operation}").sync(*arguments, client=client, **options)


def signed_in(run: LocalRun) -> Any:
    """The generated client with a token that it has requested itself."""
    credentials = module("models").Credentials(username="admin", password=run.password)
    token = call(module("client").Client(base_url=run.url), "auth.issue_token", body=credentials).token
    return module("client").AuthenticatedClient(base_url=run.url, token=token)


@pytest.mark.usefixtures("generated")
def test_it_logs_in_creates_lists_and_deletes(run: LocalRun) -> None:
    """Clients, and a mailing with its key: created, found in their lists, deleted."""
    models = module("models")
    client = signed_in(run)
    before = call(client, "mailing.list_mailings").total

    body = models.ClientBody.from_dict({"phone_number": "+79161234567", "tag": "generated"})
    one = call(client, "clients.create_client", body=body)
    assert (one.phone_number, one.operator) == ("+79161234567", "916")
    assert [row.id for row in call(client, "clients.list_clients", tag="generated").rows] == [one.id]

    start = datetime.now(UTC) + timedelta(days=1)
    order = models.MailingBody(
        text="Hello",
        clients=models.SegmentBody.from_dict({"tag": "generated"}),
        start_time=start,
        end_time=start + timedelta(hours=1),
    )
    mailing = call(client, "mailing.create_mailing", body=order, idempotency_key="once")
    assert call(client, "mailing.create_mailing", body=order, idempotency_key="once").id == mailing.id
    listed = call(client, "mailing.list_mailings")
    assert (listed.total, [row.id for row in listed.rows].count(mailing.id)) == (before + 1, 1)

    for operation, name in (("mailing.delete_mailing", mailing.id), ("clients.delete_client", one.id)):
        assert module(f"api.{operation}").sync_detailed(name, client=client).status_code == 204
    assert call(client, "mailing.list_mailings").total == before
    assert call(client, "clients.list_clients", tag="generated").rows == []
    gone = call(client, "clients.read_client", one.id)
    assert isinstance(gone, models.Problem)
    assert gone.status == 404


@pytest.mark.usefixtures("generated")
def test_a_change_of_the_text_sends_only_the_text(run: LocalRun) -> None:
    """A mailing to one tag keeps that tag, and an admin whose password is changed stays an admin."""
    models = module("models")
    client = signed_in(run)

    start = datetime.now(UTC) + timedelta(days=1)
    order = models.MailingBody(
        text="Hello",
        clients=models.SegmentBody.from_dict({"tag": "one-tag"}),
        start_time=start,
        end_time=start + timedelta(hours=1),
        on_unknown=models.OnUnknown.HOLD,
        late=models.Late.SKIP,
    )
    before = call(client, "mailing.create_mailing", body=order)
    patch = models.MailingPatch(text="Hello again")
    assert patch.to_dict() == {"text": "Hello again"}
    after = call(client, "mailing.change_mailing", before.id, body=patch)
    kept = ("clients", "start_time", "end_time", "local_window", "rate_limit", "on_unknown", "late")
    assert after.text == "Hello again"
    assert {name: getattr(after, name) for name in kept} == {name: getattr(before, name) for name in kept}

    admin = models.UserBody(username="another", password="a long password", role=models.Role.ADMIN)
    call(client, "users.create_user", body=admin)
    changed = call(client, "users.change_user", "another", body=models.UserPatch(password="a longer password"))
    assert changed.role == models.Role.ADMIN
    assert call(client, "gateway.hold_gateway", body=models.ReasonBody()).circuit == "held"
    assert call(client, "gateway.close_gateway", body=models.ReasonBody()).circuit == "closed"


def test_the_python_client_and_its_user_pass_mypy(python_client: Path) -> None:
    """Every endpoint and model, in strict mode."""
    done(PYTHON / "mypy", "--config-file", "mypy.ini", "--cache-dir", ".mypy", PACKAGE, "job.py", cwd=python_client)


def test_the_bodies_in_the_documents_have_the_types_of_typescript(typescript_client: Path) -> None:
    """README's first steps too, as they are written there; the compiler has checked each."""
    sent = [path for path, _ in told()]
    assert {"/auth-token/", "/api/clients/", "/api/mailing/", "/api/dead-letters/redrive/"} <= set(sent)
    assert (typescript_client / "told.js").read_text(encoding="utf-8").count("export const body") == len(sent)


def test_both_clients_do_the_main_job(python_client: Path, typescript_client: Path, run: LocalRun) -> None:
    """They sign in, create a client, check and import a file, order and change a mailing, and have a mistake
    refused."""
    by_python = done(sys.executable, "job.py", run.url, run.password, cwd=python_client)
    by_typescript = done(program("node"), "job.js", run.url, run.password, cwd=typescript_client)
    for said in (by_python, by_typescript):
        assert json.loads(said) == {
            "operator": "916",
            "expected": 2,
            "created": 2,
            "rejected": ["4 phone_number"],
            "mailing": ["Hello", "Hello again", "scheduled"],
            "problem": [422, "phone_number"],
        }
