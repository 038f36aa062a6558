"""The base of all models: a PynamoDB model whose cost depends on the values in a row, not on all attributes."""

from __future__ import annotations

from functools import cache
from typing import Any, Self

from pynamodb.attributes import Attribute, ListAttribute, MapAttribute
from pynamodb.constants import NULL
from pynamodb.exceptions import AttributeNullError
from pynamodb.models import Model


class Row(Model):
    """A model that is made, read and written by looping over the values in the row only.

    PynamoDB loops over all attributes of the class, several times and with several calls for each. MailingModel has
    more than fifty of them, each of its rows only a few.
    """

    def _set_defaults(self, _user_instantiated: bool = True) -> None:
        """No attribute has a default."""

    def _set_attributes(self, **attributes: Any) -> None:
        known = self.get_attributes()
        for name, value in attributes.items():
            if name in known and not isinstance(known[name], MapAttribute):
                self.attribute_values[name] = value
            else:
                super()._set_attributes(**{name: value})  # makes a map of its own kind, or refuses the name

    def _container_serialize(self, null_check: bool = True) -> dict[str, dict[str, Any]]:
        known = self.get_attributes()
        stored: dict[str, dict[str, Any]] = {}
        for name, given in self.attribute_values.items():
            attribute = known[name]
            value = None if given is None else _serialized(name, attribute, given, null_check)
            if value is not None:
                stored[attribute.attr_name] = {attribute.attr_type: value}
        if null_check and (missing := [name for name, key in _required(type(self)) if key not in stored]):
            raise AttributeNullError(missing[0])
        return stored

    @classmethod
    def from_raw_data(cls, data: dict[str, dict[str, Any]]) -> Self:
        """Make a row from an item.

        Raises AttributeDeserializationError if a value has another type than its attribute.
        """
        known = _by_stored_name(cls)
        row = cls.__new__(cls)
        row.attribute_values = {}
        for stored_name, value in data.items():
            if stored_name in known and NULL not in value:
                name, attribute = known[stored_name]
                read = attribute.deserialize(attribute.get_value(value))
                if isinstance(attribute, MapAttribute):
                    setattr(row, name, read)  # makes a map of its own kind of what was read
                else:
                    row.attribute_values[name] = read
        return row


def _serialized(name: str, attribute: Attribute[Any], value: Any, null_check: bool) -> Any:
    """A value in DynamoDB's form.

    Raises AttributeNullError if it lacks something, ValueError if it has another type.
    """
    if isinstance(value, MapAttribute) and not value.validate(null_check=null_check):
        raise ValueError(f"Attribute '{name}' is not correctly typed")
    if not isinstance(attribute, ListAttribute | MapAttribute):
        return attribute.serialize(value)
    try:
        return attribute.serialize(value, null_check=null_check)
    except AttributeNullError as error:
        error.prepend_path(name)
        raise


@cache
def _by_stored_name(model: type[Model]) -> dict[str, tuple[str, Attribute[Any]]]:
    """The attributes of a model and their names in Python, by their names in the table."""
    return {attribute.attr_name: (name, attribute) for name, attribute in model.get_attributes().items()}


@cache
def _required(model: type[Model]) -> list[tuple[str, str]]:
    """The attributes that a row must have, by their names in Python and in the table."""
    return [(name, one.attr_name) for name, one in model.get_attributes().items() if not one.null]
