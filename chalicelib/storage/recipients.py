"""Files of recipients: a row for each number, outside of the directory of clients.

A row's id is the one that a client with its number usually has. So a number has one row however often its part of the
file is written, rows belong to shards as clients do, and a message is in the history of the number's client. The client
is always looked up by number, for the opt-out and for the fields that the file does not have.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pynamodb.exceptions import PutError
from pynamodb.transactions import TransactWrite

from ..clock import Backoff
from ..domain.attributes import Attributes
from ..domain.client_ids import SHARDS, shard_of
from ..domain.clients import Client, ClientFields, Contact, kept_client
from ..domain.mailings import Mailing
from ..domain.recipient_files import KEPT_FOR, RecipientFile, uploaded_at
from .clients import ClientRepository
from .dynamodb import Item, read_items, translated, was_refused
from .models import SettingModel
from .moments import to_ms
from .tables import Tables

_FILES = "recipients"
_SPARE = timedelta(days=1)


def claims(mailing: Mailing) -> bool:
    """Whether a mailing takes its file for itself.

    Otherwise it has none, or its filter refers to the mailing that has it.
    """
    segment = mailing.segment
    return bool(segment.recipients) and not (segment.filter and segment.filter.mailings)


def claim(transaction: TransactWrite, model: type[SettingModel], mailing: Mailing) -> None:
    """Let the transaction that writes a mailing give it its file, on condition that no other mailing has it."""
    if not claims(mailing):
        return
    is_free = model.mailing_id.does_not_exist() | (model.mailing_id == mailing.mailing_id)
    transaction.update(
        model(_FILES, mailing.segment.recipients),
        actions=[model.mailing_id.set(mailing.mailing_id)],
        condition=model.body.exists() & is_free,
    )


def owner_of(model: type[SettingModel], file_id: str) -> str:
    """The mailing that a file belongs to, "" if there is none."""
    rows = list(model.query(_FILES, model.name == file_id, consistent_read=True))
    return rows[0].mailing_id or "" if rows else ""


class RecipientRepository:
    """Recipients in the settings table, where DynamoDB removes them when their time is over."""

    def __init__(self, tables: Tables, dynamodb: Any, backoff: Backoff, clients: ClientRepository) -> None:
        self._model: type[SettingModel] = tables.settings
        self._table = tables.settings.Meta.table_name
        self._dynamodb = dynamodb
        self._backoff = backoff
        self._clients = clients

    # -- files

    def note(self, file: RecipientFile) -> None:
        """Save a file, for the mailing that will get it. Does nothing if that was done before."""
        body = json.dumps([file.file_name, file.count, list(file.names)], ensure_ascii=False)
        row = self._model(_FILES, file.file_id, body=body, expires_at=_expiry(file.file_id))
        with translated("recipients"):
            try:
                row.save(condition=self._model.scope.does_not_exist())
            except PutError as error:
                if not was_refused(error):
                    raise

    def find(self, file_id: str) -> RecipientFile | None:
        """The saved file."""
        with translated("recipients"):
            rows = list(self._model.query(_FILES, self._model.name == file_id, consistent_read=True))
        if not rows:
            return None
        file_name, count, names = json.loads(rows[0].body or "")
        return RecipientFile(
            file_id=file_id, file_name=file_name, count=count, names=names, mailing_id=rows[0].mailing_id or ""
        )

    # -- rows

    def add(self, file_id: str, rows: Sequence[Client], given: Mapping[str, frozenset[str]]) -> None:
        """Add rows; `given` has the fields in the file, by number. May be repeated."""
        expires_at = _expiry(file_id)
        with translated("recipients"), self._model.batch_write() as batch:
            for one in rows:
                names = given[one.phone_number]
                zone = one.timezone if "timezone" in names else ""
                body = json.dumps([one.phone_number, zone, one.language, one.attributes.text], ensure_ascii=False)
                name = self._clients.usual_id(one.phone_number)
                batch.save(
                    self._model(
                        _scope(file_id, name),
                        name,
                        body=body,
                        opted_out=int(one.opted_out) or None,
                        expires_at=expires_at,
                    )
                )

    def opt_out(self, file_id: str, numbers: Iterable[str]) -> None:
        """Opt out numbers for this file, even without a row yet, because its parts may be written in any order."""
        expires_at = _expiry(file_id)
        names = [self._clients.usual_id(number) for number in numbers]
        with translated("recipients"), self._model.batch_write() as batch:
            for name in names:
                batch.save(self._model(_opt_outs(file_id, name), name, expires_at=expires_at))

    def walk(self, file_id: str, shard: str, cursor: str, limit: int) -> tuple[list[Client], str]:
        """Up to `limit` rows of a shard after the cursor, completed from the directory, and the next cursor.

        A cursor is "" at the beginning and the end.
        """
        names = {"#scope": "scope", "#name": "name"}
        values = {":scope": {"S": _scope_of(file_id, shard)}, ":after": {"S": cursor or " "}}
        with translated("recipients"):
            answer = self._dynamodb.query(
                TableName=self._table,
                KeyConditionExpression="#scope = :scope AND #name > :after",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
                Limit=limit,
            )
        left = answer.get("LastEvaluatedKey")
        return self._completed(file_id, answer["Items"]), left["name"]["S"] if left else ""

    def first(self, file_id: str, limit: int) -> list[Client]:
        """The first rows of a file, up to `limit`, completed from the directory."""
        found: list[Client] = []
        for shard in SHARDS:
            cursor = " "
            while cursor and len(found) < limit:
                rows, cursor = self.walk(file_id, shard, cursor, limit - len(found))
                found += rows
        return found

    def contacts(self, file_id: str, ids: Iterable[str]) -> dict[str, Contact]:
        """The current contacts of the people with these ids, with language and attributes. Reads are consistent."""
        items = self._read((_scope(file_id, one), one) for one in dict.fromkeys(ids))
        return {one.client_id: _contact(one) for one in self._completed(file_id, items)}

    def _read(self, places: Iterable[tuple[str, str]]) -> list[Item]:
        keys: list[Item] = [{"scope": {"S": scope}, "name": {"S": name}} for scope, name in places]
        return list(read_items(self._dynamodb, self._backoff, self._table, keys, consistent=True))

    def _completed(self, file_id: str, items: Sequence[Item]) -> list[Client]:
        rows = [(item, json.loads(item["body"]["S"])) for item in items]
        known = self._clients.with_numbers([cells[0] for _, cells in rows])
        names = [item["name"]["S"] for item in items]
        opted_out = {item["name"]["S"] for item in self._read((_opt_outs(file_id, name), name) for name in names)}
        uploaded = uploaded_at(file_id)
        found = [_completed(item, cells, known.get(cells[0]), uploaded) for item, cells in rows]
        return [replace(one, opted_out=True) if one.client_id in opted_out else one for one in found]

    def delete(self, file_id: str, shard: str, limit: int) -> bool:
        """Delete up to `limit` rows of a shard. Returns whether there may be more."""
        with translated("recipients"):
            rows = list(self._model.query(_scope_of(file_id, shard), limit=limit, attributes_to_get=["scope", "name"]))
            with self._model.batch_write() as batch:
                for row in rows:
                    batch.delete(row)
        return len(rows) == limit


def _completed(item: Item, cells: Sequence[str], client: Client | None, uploaded: datetime) -> Client:
    """The client of a row: fields in the file override those in the directory."""
    number, zone, language, attributes = cells
    known = client or kept_client(ClientFields(number), uploaded)
    return replace(
        known,
        client_id=item["name"]["S"],
        timezone=zone or known.timezone,
        language=language or known.language,
        attributes=Attributes(attributes).over(known.attributes) if known.attributes else Attributes(attributes),
        opted_out=known.opted_out or "opted_out" in item,
    )


def _contact(one: Client) -> Contact:
    return Contact(
        phone_number=one.phone_number,
        timezone=one.timezone,
        opted_out=one.opted_out,
        unreachable=one.unreachable,
        language=one.language,
        attributes=one.attributes,
    )


def _expiry(file_id: str) -> int:
    return to_ms(uploaded_at(file_id) + KEPT_FOR + _SPARE) // 1000


def _scope(file_id: str, client_id: str) -> str:
    return _scope_of(file_id, shard_of(client_id))


def _opt_outs(file_id: str, client_id: str) -> str:
    return f"{_scope(file_id, client_id)}#opted-out"


def _scope_of(file_id: str, shard: str) -> str:
    return f"{_FILES}#{file_id}#{shard}"
