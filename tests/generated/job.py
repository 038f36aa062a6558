"""The main job with the client that openapi-python-client makes from docs/openapi.json: `python job.py URL
PASSWORD`."""

from __future__ import annotations

import io
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from generated_client.api.auth import issue_token
from generated_client.api.clients import (
    check_import,
    create_client,
    import_clients,
    list_rejected_rows,
    read_import,
)
from generated_client.api.mailing import change_mailing, create_mailing
from generated_client.client import AuthenticatedClient, Client
from generated_client.models import ClientBody, Credentials, MailingPatch, Mode, NewMailingBody, Problem, SegmentBody
from generated_client.types import File

T = TypeVar("T")
FILE = b"phone_number,tag\n+79161234502,python\n+79161234503,python\nnobody,python\n"


def answer(reply: T | Problem | None) -> T:
    """The answer that was expected; raises an AssertionError with the problem otherwise."""
    assert reply is not None
    assert not isinstance(reply, Problem), reply.to_dict()
    return reply


def file() -> File:
    """The file to upload, which can be read once."""
    return File(payload=io.BytesIO(FILE))


def main(url: str, password: str) -> None:
    """Sign in, create a client, import a file, order and change a mailing, and have a mistake refused."""
    credentials = Credentials(username="admin", password=password)
    token = answer(issue_token.sync(client=Client(base_url=url), body=credentials)).token
    api = AuthenticatedClient(base_url=url, token=token)
    body = ClientBody(phone_number="+79161234501", tag="python")
    one = answer(create_client.sync(client=api, body=body))
    checked = answer(check_import.sync(client=api, body=file(), mode=Mode.REPLACE))
    imported = answer(import_clients.sync(client=api, body=file(), mode=Mode.REPLACE))
    deadline = time.monotonic() + 30
    while imported.status != "finished" and time.monotonic() < deadline:
        time.sleep(0.1)
        imported = answer(read_import.sync(imported.id, client=api))
    rejected = answer(list_rejected_rows.sync(imported.id, client=api))
    start = datetime.now(UTC) + timedelta(days=1)
    order = NewMailingBody(
        text="Hello", clients=SegmentBody(tag="python"), start_time=start, end_time=start + timedelta(hours=1)
    )
    mailing = answer(create_mailing.sync(client=api, body=order, idempotency_key="python"))
    changed = answer(change_mailing.sync(mailing.id, client=api, body=MailingPatch(text="Hello again")))
    wrong = create_client.sync_detailed(client=api, body=ClientBody(phone_number="nobody"))
    assert isinstance(wrong.parsed, Problem)
    problem = wrong.parsed.errors[0].field if wrong.parsed.errors else ""
    told = {
        "operator": one.operator,
        "expected": checked.expected.created,
        "created": imported.created,
        "rejected": [f"{row.row} {row.field}" for row in rejected.rows],
        "mailing": [mailing.text, changed.text, str(changed.status)],
        "problem": [int(wrong.status_code), problem],
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
