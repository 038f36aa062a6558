"""A client that is generated from the API's description, against the running service."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.local_run import ROOT, LocalRun

PACKAGE = "generated_client"


@pytest.fixture
def generated(tmp_path: Path) -> Iterator[Path]:
    """The package that openapi-python-client makes of docs/openapi.json, importable."""
    command = [
        Path(sys.executable).with_name("openapi-python-client"),
        *("generate", "--path", ROOT / "docs/openapi.json", "--output-path", tmp_path / PACKAGE, "--meta", "none"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    sys.path.insert(0, str(tmp_path))
    yield tmp_path / PACKAGE
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def module(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


def call(client: Any, operation: str, *arguments: str, **options: Any) -> Any:
    """What an operation answers, read into its model."""
    return module(f"api.{operation}").sync(*arguments, client=client, **options)


def signed_in(run: LocalRun) -> Any:
    """The generated client with a token that it has got itself."""
    credentials = module("models").Credentials(username="admin", password=run.password)
    token = call(module("client").Client(base_url=run.url), "auth.issue_token", body=credentials).token
    return module("client").AuthenticatedClient(base_url=run.url, token=token)


@pytest.mark.usefixtures("generated")
def test_it_logs_in_creates_lists_and_deletes(run: LocalRun) -> None:
    """Clients, and a mailing with its key: made, found in their lists, gone."""
    models = module("models")
    client = signed_in(run)

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
    assert (listed.total, [row.id for row in listed.rows]) == (1, [mailing.id])

    for operation, name in (("mailing.delete_mailing", mailing.id), ("clients.delete_client", one.id)):
        assert module(f"api.{operation}").sync_detailed(name, client=client).status_code == 204
    assert call(client, "mailing.list_mailings").total == 0
    assert call(client, "clients.list_clients", tag="generated").rows == []
    gone = call(client, "clients.read_client", one.id)
    assert isinstance(gone, models.Problem)
    assert gone.status == 404


@pytest.mark.usefixtures("generated")
def test_a_change_of_the_text_alone_sends_the_text_alone(run: LocalRun) -> None:
    """A mailing to one tag stays one to that tag, and an admin whose password is changed stays an admin."""
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
