"""Rows are read by what they hold; what is read is what PynamoDB's own way of reading gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pynamodb.attributes import Attribute, MapAttribute
from pynamodb.exceptions import AttributeDeserializationError
from pynamodb.models import Model

from chalicelib.storage.models import (
    BucketModel,
    ClientModel,
    ExternalIdModel,
    MailingModel,
    SettingModel,
    TagItemModel,
    UserModel,
)
from chalicelib.storage.row_model import Row

MODELS = [BucketModel, ClientModel, ExternalIdModel, MailingModel, SettingModel, TagItemModel, UserModel]
SAMPLES: dict[str, Any] = {
    "UnicodeAttribute": {"S": "text"},
    "NumberAttribute": {"N": "7"},
    "BooleanAttribute": {"BOOL": True},
    "MomentAttribute": {"N": "1772442000123"},
    "MapAttribute": {"M": {"sent": {"N": "3"}}},
    "ListAttribute": {"L": [{"N": "1"}]},
}


def plain(value: Any) -> Any:
    """A value that can be compared: PynamoDB's maps make conditions of `==`."""
    return value.as_dict() if isinstance(value, MapAttribute) else value


def values(row: Model) -> dict[str, Any]:
    return {name: plain(value) for name, value in row.attribute_values.items()}


def full(model: type[Row]) -> dict[str, Any]:
    """A row with a value for each attribute, and some that the model does not know or that are null."""
    known = {attribute.attr_name: SAMPLES[type(attribute).__name__] for attribute in model.get_attributes().values()}
    return {**known, "of another version": {"S": "x"}}


def written(model: type[Row], made: dict[str, Any], way: type[Model]) -> Any:
    """The item of such a row, made and serialised by a class's own methods, or the error."""
    try:
        row = model.__new__(model)
        row.attribute_values = {}
        way._set_attributes(row, **made)
        return way._container_serialize(row), way._container_serialize(row, null_check=False)
    except Exception as error:  # any of them is to be the same
        return type(error), str(error)


@pytest.mark.parametrize("model", MODELS)
def test_all_that_a_row_holds_is_read(model: type[Row]) -> None:
    """Expects every attribute to have the value that PynamoDB itself reads."""
    read = values(model.from_raw_data(full(model)))
    assert read == values(model._instantiate(full(model)))
    assert set(read) == set(model.get_attributes())


@pytest.mark.parametrize("model", MODELS)
def test_what_a_row_does_not_hold_is_none(model: type[Row]) -> None:
    """Expects null and absent values to be None, as no model has a default."""
    attributes = model.get_attributes()
    (key, *_) = (attribute.attr_name for attribute in attributes.values() if attribute.is_hash_key)
    row = model.from_raw_data({key: {"NULL": True}})
    assert {name: getattr(row, name) for name in attributes} == dict.fromkeys(attributes)
    assert {name: attribute.default for name, attribute in attributes.items()} == dict.fromkeys(attributes)
    assert not any(attribute.default_for_new for attribute in attributes.values())


@pytest.mark.parametrize("model", MODELS)
def test_a_row_is_made_and_written_as_pynamodb_does(model: type[Row]) -> None:
    """Expects the same items of whole rows, of rows that lack things, and of those with a wrong value, or an error."""
    given = values(model.from_raw_data(full(model)))
    keys = [name for name, attribute in model.get_attributes().items() if attribute.is_hash_key]
    for left_out in [[], *([name] for name in given if name not in keys)]:
        made = {name: value for name, value in given.items() if name not in left_out}
        assert written(model, made, Row) == written(model, made, Model)
    for name in given:
        for value in ("text", 5, True, {"a": 1}, [{"a": object()}], None):
            assert written(model, {**given, name: value}, Row) == written(model, {**given, name: value}, Model)


def test_an_attribute_that_a_row_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="Attribute statsu specified does not exist"):
        MailingModel("id", "META", statsu="running")


def test_maps_are_maps() -> None:
    """Expects what PynamoDB makes of a map, whose values are asked for by name."""
    row = MailingModel.from_raw_data({"final": {"M": {"sent": {"N": "3"}}}})
    assert isinstance(row.final, MapAttribute)
    assert row.final["sent"] == 3


def test_a_moment_is_read_to_the_millisecond() -> None:
    row = MailingModel.from_raw_data({"start_at": {"N": "1772442000123"}})
    assert row.start_at == datetime(2026, 3, 2, 9, 0, 0, 123_000, tzinfo=UTC)


def test_a_value_of_another_type_is_refused() -> None:
    """Expects an error that names the attribute."""
    attribute: Attribute[Any] = MailingModel.get_attributes()["start_at"]
    with pytest.raises(AttributeDeserializationError, match=attribute.attr_name):
        MailingModel.from_raw_data({"start_at": {"S": "now"}})
