"""The tables of one installation: each model, bound to the table that the settings name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from pynamodb.connection import Connection
from pynamodb.models import Model

from ..config import Settings
from .models import (
    BucketModel,
    ClientModel,
    ExternalIdModel,
    MailingModel,
    SettingModel,
    TagItemModel,
    UserModel,
)

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Tables:
    """The models bound to the tables of one resource prefix."""

    clients: type[ClientModel]
    external_ids: type[ExternalIdModel]
    tag_items: type[TagItemModel]
    mailings: type[MailingModel]
    ledger: type[BucketModel]
    users: type[UserModel]
    settings: type[SettingModel]
    # For transactions.
    connection: Connection


def _bind(model: type[M], table_name: str) -> type[M]:
    meta = type("Meta", (), {"table_name": table_name})
    return type(model.__name__, (model,), {"Meta": meta, "__module__": __name__})


def bind(settings: Settings, dynamodb: Any) -> Tables:
    """The models bound to the tables in the settings, using this client. Makes no call to DynamoDB.

    PynamoDB would make a client for each model, which takes 0.1 s, and is slower for each answer (`aws_clients`). The
    only way to give it a client is a private attribute of its connections.
    """
    tables = Tables(
        clients=_bind(ClientModel, settings.clients_table),
        external_ids=_bind(ExternalIdModel, settings.clients_table),
        tag_items=_bind(TagItemModel, settings.clients_table),
        mailings=_bind(MailingModel, settings.mailings_table),
        ledger=_bind(BucketModel, settings.ledger_table),
        users=_bind(UserModel, settings.users_table),
        settings=_bind(SettingModel, settings.settings_table),
        connection=Connection(),
    )
    of_clients = (tables.clients, tables.external_ids, tables.tag_items)
    models = (*of_clients, tables.mailings, tables.ledger, tables.users, tables.settings)
    for connection in (tables.connection, *(model._get_connection().connection for model in models)):
        connection._client = dynamodb
    return tables
