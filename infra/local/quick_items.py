"""Sizes, copies and parts of items, faster than MiniStack's, which take a step in Python for each value.

A page of 50 clients is measured, and cut to what its index has; a change copies its item two to four times.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from types import ModuleType
from typing import Any

from infra.local.quick_json import dumps

KEPT = 500  # indexes, texts of projections
_MEASURED_TOGETHER = 200  # items

Item = dict[str, Any]
Names = Mapping[str, str] | None


def copied(value: Any) -> Any:
    """A copy of what JSON can be, all the way down."""
    kind = type(value)
    if kind is str:
        return value
    if kind is dict:
        return {name: copied(one) for name, one in value.items()}
    if kind is list:
        return [copied(one) for one in value]
    return copy.deepcopy(value)


def copying() -> ModuleType:
    """A module `copy` that copies items in this way."""
    quick = ModuleType(copy.__name__)
    quick.__dict__.update(vars(copy), deepcopy=copied)
    return quick


def sizing(of_item: Callable[[Any], int], of_value: Callable[[Any], int]) -> Callable[[Any], int]:
    """A function for the bytes of an item, which counts texts and flags directly."""

    @wraps(of_item)
    def size(item: Any) -> int:
        if type(item) is not dict:
            return of_item(item)
        total = 0
        for name, value in item.items():
            total += len(name) if name.isascii() else len(name.encode())
            if type(value) is dict and len(value) == 1:
                ((kind, held),) = value.items()
                if kind == "S" and type(held) is str:
                    total += len(held) if held.isascii() else len(held.encode())
                    continue
                if kind == "BOOL":
                    total += 1
                    continue
            total += of_value(value)
        return total

    return size


def paging(page: Callable[..., tuple[list[Item], bool]], most: int) -> Callable[..., tuple[list[Item], bool]]:
    """A function for the items of a page of at most `most` bytes, and whether there are more.

    An item's JSON is longer than its counted size: if all JSON together is short enough, no item has to be measured.
    """

    @wraps(page)
    def paged(items: list[Item], limit: Any, table: dict[str, Any], index_name: str | None = None) -> Any:
        wanted = items if limit is None else items[: int(limit)]
        if len(wanted) > _MEASURED_TOGETHER or len(dumps(wanted)) >= most:
            return page(items, limit, table, index_name)
        return list(wanted), limit is not None and 0 < int(limit) <= len(wanted)

    return paged


def cutting(cut: Callable[[Item, dict[str, Any], str | None], Item]) -> Callable[..., Item]:
    """A function for the attributes of an item in an index, which are found once instead of for each item."""
    known: dict[int, tuple[Any, frozenset[str] | None]] = {}

    def kept(table: dict[str, Any], name: str) -> frozenset[str] | None:
        """The attributes of an index, None for all."""
        for index in (*(table.get("GlobalSecondaryIndexes") or ()), *(table.get("LocalSecondaryIndexes") or ())):
            if index.get("IndexName") == name:
                break
        else:
            return None
        found = known.get(id(index))
        if found is None or found[0] is not index:
            projection = index.get("Projection") or {}
            every = {one["AttributeName"] for one in index.get("KeySchema") or ()}
            every |= {*(projection.get("NonKeyAttributes") or ()), table.get("pk_name"), table.get("sk_name")}
            probe = cut(dict.fromkeys([*every, _OTHER]), table, name)
            found = index, None if _OTHER in probe else frozenset(probe)
            if len(known) >= KEPT:
                known.clear()
            known[id(index)] = found
        return found[1]

    @wraps(cut)
    def part(item: Item, table: dict[str, Any], index_name: str | None) -> Item:
        if not index_name:
            return item
        names = kept(table, index_name)
        return item if names is None else {name: value for name, value in item.items() if name in names}

    return part


_SHORT = 500  # characters, a key may have 2,048 bytes
_OTHER = "\0"  # an attribute that no index names


def keying(engine: ModuleType) -> Callable[..., Any]:
    """The values of an item's key, and what is wrong with it; a short text that is all of the key needs few looks."""
    resolve = engine._resolve_table_key_values

    @wraps(resolve)
    def resolved(table: dict[str, Any], attrs: Any, allow_extra: bool) -> Any:
        if type(attrs) is dict and len(attrs) == 1 and not table["sk_name"]:
            given = attrs.get(table["pk_name"])
            text = given.get("S") if type(given) is dict and len(given) == 1 else None
            quick = type(text) is str and 0 < len(text) <= _SHORT and text.isascii()
            if quick and engine._get_attr_type(table, table["pk_name"]) == "S":
                return text, "__no_sort__", None
        return resolve(table, attrs, allow_extra)

    return resolved


def choosing(engine: ModuleType) -> Callable[[Item, str, Names], Item]:
    """A function for the attributes that a projection names; its text is parsed once if it has no paths."""
    choose: Callable[[Item, str, Names], Item] = engine._project_item

    @lru_cache(maxsize=KEPT)
    def attributes(text: str, names: tuple[tuple[str, str], ...]) -> tuple[str, ...] | None:
        """The attributes that a projection names, None if it has paths. Raises ValueError for a faulty one."""
        choose({}, text, dict(names))
        paths = [engine._parse_projection_path(path, dict(names)) for path in text.split(",") if path.strip()]
        plain = all(len(path) == 1 and path[0][0] == "name" for path in paths)
        return tuple(path[0][1] for path in paths) if plain else None

    @wraps(choose)
    def chosen(item: Item, text: str, names: Names) -> Item:
        wanted = attributes(text, tuple((names or {}).items())) if text else None
        if wanted is None:
            return choose(item, text, names)
        return {name: engine._compact_projection(item[name]) for name in wanted if name in item}

    return chosen
