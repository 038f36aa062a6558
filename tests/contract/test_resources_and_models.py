"""infra/resources.yaml agrees with the PynamoDB models: tables, keys, indexes, projections and expiry."""

from __future__ import annotations

from typing import Any

import pytest
from pynamodb.models import Model

from chalicelib.config import Settings
from chalicelib.storage.tables import bind
from infra.provision import resources

PREFIX = "stack"
TABLES = bind(Settings(resource_prefix=PREFIX), None)  # nothing is asked
NAMES = ("clients", "mailings", "ledger", "users", "settings")


def _model(name: str) -> type[Model]:
    model: type[Model] = getattr(TABLES, name)
    return model


def _defined() -> dict[str, dict[str, Any]]:
    tables = [one["Properties"] for one in resources(PREFIX).values() if one["Type"] == "AWS::DynamoDB::Table"]
    return {table["TableName"]: table for table in tables}


def _table(name: str) -> dict[str, Any]:
    return _defined()[_model(name).Meta.table_name]


def _keys(schema: list[dict[str, str]]) -> dict[str, str]:
    """The attribute for each kind of key."""
    return {key["KeyType"]: key["AttributeName"] for key in schema}


def _types(definitions: list[dict[str, str]]) -> list[tuple[str, str]]:
    return sorted((one["AttributeName"], one["AttributeType"]) for one in definitions)


def test_each_model_has_a_table_and_each_table_a_model() -> None:
    """Expects the names that the settings give the models."""
    assert {_model(name).Meta.table_name for name in NAMES} == set(_defined())


@pytest.mark.parametrize("name", NAMES)
def test_a_table_has_the_keys_of_its_model(name: str) -> None:
    """Expects names and types, and no attribute that is not a key (CloudFormation refuses those)."""
    modelled = _model(name)._get_schema()
    table = _table(name)
    assert _keys(table["KeySchema"]) == _keys(modelled["key_schema"])
    assert _types(table["AttributeDefinitions"]) == _types(modelled["attribute_definitions"])
    assert table["KeySchema"][0]["KeyType"] == "HASH", "CloudFormation wants it first"


@pytest.mark.parametrize("name", NAMES)
def test_a_table_has_the_indexes_of_its_model(name: str) -> None:
    """Expects keys and projection of each."""
    modelled = {
        index["index_name"]: (_keys(index["key_schema"]), index["projection"])
        for index in _model(name)._get_schema()["global_secondary_indexes"]
    }
    defined = {
        index["IndexName"]: (_keys(index["KeySchema"]), index["Projection"])
        for index in _table(name).get("GlobalSecondaryIndexes", [])
    }
    assert defined == modelled


@pytest.mark.parametrize("name", NAMES)
def test_an_index_sorts_by_attributes_that_the_model_writes(name: str) -> None:
    """Expects each key of an index to be an attribute of the model with the same type: otherwise a row is in no
    index."""
    model = _model(name)
    written = [(one.attr_name, one.attr_type) for one in model.get_attributes().values()]
    for index in model._get_schema()["global_secondary_indexes"]:
        assert set(_types(index["attribute_definitions"])) <= set(written)


@pytest.mark.parametrize("name", NAMES)
def test_rows_expire_by_the_attribute_of_the_model(name: str) -> None:
    """Expects DynamoDB's expiry in exactly the tables whose model has `expires_at`, which is a number."""
    attributes = {one.attr_name: one.attr_type for one in _model(name).get_attributes().values()}
    expected = {"AttributeName": "expires_at", "Enabled": True} if "expires_at" in attributes else None
    assert _table(name).get("TimeToLiveSpecification") == expected
    assert attributes.get("expires_at", "N") == "N"
