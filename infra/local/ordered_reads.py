"""Lets MiniStack read only the part of a partition that a query needs, as DynamoDB does.

MiniStack itself sorts the whole partition and compares every item with the condition: half a second of CPU time for a
page of 100,000 clients, and as much for each page of a mailing. Here the order of large partitions is kept, and the
query runs on a table with only those items that can be on its page; the answers are the same.

What MiniStack checks about a query takes longer than to read a page. It checks each form once: a later query of the
same form, with other texts in the place of values, is answered directly.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_LARGE = 16  # items; smaller partitions are read as they are
# In what the engine derives of a table and forgets by itself, beside the names of indexes.
_ORDERS, _FORMS = "\0orders", "\0forms"
# The parameters of a query whose form is remembered.
_PLAIN = {"TableName", "IndexName", "KeyConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"}
_PLAIN |= {"Limit", "ScanIndexForward", "ProjectionExpression", "ConsistentRead"}
_SHORT = 200  # characters of a value in it; a key may have 1,024 bytes
_MOST_FORMS = 500  # of a table

Values = tuple[Any, ...]  # what a partition is sorted by
Entry = tuple[Values, str, str]  # with the item's own keys
Answer = tuple[int, dict[str, str], bytes]
Schema = tuple[str, list[str], list[str]]  # the name of an index, "" for the table, with its hash and range keys


class OrderedReads:
    """The engine's own functions, with fewer items to look at."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._query: Callable[[dict[str, Any]], Answer] = engine._query
        self._set = engine._set_item
        self._remove = engine._remove_item

    def query(self, data: dict[str, Any]) -> Answer:
        engine = self._engine
        name = engine._normalize_table_name(data.get("TableName"))
        table = engine._tables.get(name) if isinstance(name, str) else None
        found = self._found(table, data)
        if table is None or found is None:
            return self._query(data)
        form, forms = _form_of(data), engine._index_members(table).setdefault(_FORMS, set())
        if form in forms:
            return self._answer(table, found, data)
        answer = self._checked(name, table, found, data)
        if form is not None and answer[0] == 200 and len(forms) < _MOST_FORMS:
            forms.add(form)
        return answer

    def _answer(self, table: dict[str, Any], found: _Found, data: dict[str, Any]) -> Answer:
        """The answer to a query whose form the engine has accepted before."""
        engine, index, keys = self._engine, found.schema[0], table["items"]
        items = [keys[pk][sk] for _values, pk, sk in found.stretch]
        page, more = engine._paginate_evaluated_items(items, data.get("Limit"), table, index or None)
        shown = [engine._apply_index_projection(one, table, index or None) for one in page]
        if text := data.get("ProjectionExpression"):
            shown = [engine._project_item(one, text, data.get("ExpressionAttributeNames") or {}) for one in shown]
        result: dict[str, Any] = {"Items": shown, "Count": len(page), "ScannedCount": len(page)}
        if more and page:
            names = (table["pk_name"], table["sk_name"], *found.schema[1], *found.schema[2])
            result["LastEvaluatedKey"] = {name: page[-1][name] for name in names if name in page[-1]}
        answer: Answer = engine.json_response(result)
        return answer

    def _checked(self, name: str, table: dict[str, Any], found: _Found, data: dict[str, Any]) -> Answer:
        """The engine's own answer, which looks only at what was found."""
        engine = self._engine
        narrowed = self._narrowed(table, found)
        tables, evaluate, order = engine._tables, engine._evaluate_condition, engine._index_order_keys
        engine._tables = _Overlay(tables, name, narrowed)
        engine._evaluate_condition = _met_by(narrowed, evaluate)
        if not data.get("ExclusiveStartKey"):  # which is looked for by the same keys
            engine._index_order_keys = lambda *_: []  # they are in order: sorting them changes nothing
        try:
            return self._query(data)
        finally:
            engine._tables, engine._evaluate_condition, engine._index_order_keys = tables, evaluate, order

    def set_item(self, table: dict[str, Any], pk: str, sk: str, item: dict[str, Any]) -> dict[str, Any] | None:
        old: dict[str, Any] | None = self._set(table, pk, sk, item)
        self._reorder(table, pk, sk, old, item)
        return old

    def remove_item(self, table: dict[str, Any], pk: str, sk: str) -> dict[str, Any] | None:
        old: dict[str, Any] | None = self._remove(table, pk, sk)
        self._reorder(table, pk, sk, old, None)
        return old

    # -- reading

    def _found(self, table: dict[str, Any] | None, data: dict[str, Any]) -> _Found | None:
        """What can be on the page, None if the query should be left to the engine."""
        condition, index = data.get("KeyConditionExpression"), data.get("IndexName") or ""
        limit = data.get("Limit")
        if not table or not condition or data.get("KeyConditions") or not (limit is None or _is_count(limit)):
            return None
        schema = next((one for one in self._schemas(table) if one[0] == index), None)
        if schema is None or len(schema[1]) != 1 or len(schema[2]) != 1:
            return None
        values, names = data.get("ExpressionAttributeValues") or {}, data.get("ExpressionAttributeNames") or {}
        try:
            partition = self._engine._extract_pk_from_condition(condition, values, names, schema[1][0])
            stretch = self._stretch(table, schema, self._order(table, schema, partition), data)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None  # invalid: the engine reports what is wrong
        if data.get("ScanIndexForward") is False:
            stretch.reverse()
        return _Found(schema, partition, stretch)

    def _narrowed(self, table: dict[str, Any], found: _Found) -> dict[str, Any]:
        """The table with only these items."""
        items: dict[str, dict[str, Any]] = {}
        for _values, pk, sk in sorted(found.stretch):
            items.setdefault(pk, {})[sk] = table["items"][pk][sk]
        index = found.schema[0]
        members = {index: {found.partition: {entry[1:]: None for entry in found.stretch}}} if index else {}
        return {**table, "items": items, self._engine._INDEX_MEMBERS: members}

    def _stretch(self, table: dict[str, Any], schema: Schema, order: list[Entry], data: dict[str, Any]) -> list[Entry]:
        low, high = self._bounds(order, schema[2][0], data)
        backward = data.get("ScanIndexForward") is False
        if cursor := data.get("ExclusiveStartKey"):
            place = self._values(table, schema, cursor)
            if backward:
                high = min(high, bisect_left(order, place, key=_values_of))
            else:
                low = max(low, bisect_right(order, place, key=_values_of))
        limit = data.get("Limit")
        if limit is not None:
            low, high = (max(low, high - limit), high) if backward else (low, min(high, low + limit))
        return order[low:high]

    def _bounds(self, order: list[Entry], name: str, data: dict[str, Any]) -> tuple[int, int]:
        """The range of items that match the condition on the sort key.

        Raises ValueError for a rare kind of condition.
        """
        engine, names = self._engine, data.get("ExpressionAttributeNames") or {}
        tokens = [token for token in engine._tokenize(data["KeyConditionExpression"]) if token[0] != "EOF"]
        if (
            tokens[0][0] == "LPAREN"
            and tokens[-1][0] == "RPAREN"
            and engine._find_matching_paren(tokens, 0) == len(tokens) - 1
        ):
            tokens = tokens[1:-1]
        for clause in engine._key_condition_clauses(tokens):
            kinds, texts = [kind for kind, _ in clause], [text for _, text in clause]
            if name not in (names.get(text, text) for text in texts):
                continue
            given = [data["ExpressionAttributeValues"][text] for kind, text in clause if kind == "VALUE_REF"]
            ((kind,),) = {tuple(one) for one in given}
            if kind not in ("S", "N"):
                raise ValueError("another condition")
            value, *others = (engine._sort_key_value(one, kind) for one in given)
            if [text.upper() for text in texts[1:4:2]] == ["BETWEEN", "AND"] and kinds[2::2] == ["VALUE_REF"] * 2:
                if others < [value]:
                    raise ValueError("it ends before it begins")
                return _place(order, value), _place(order, others[0], after=True)
            if others:
                raise ValueError("another condition")
            if texts[0].lower() == "begins_with" and kind == "S":
                return _place(order, value), _place(order, value + chr(0x10FFFF))
            if kinds[1:] == ["EQ", "VALUE_REF"]:
                return _place(order, value), _place(order, value, after=True)
            if kinds[1:] == ["LE", "VALUE_REF"] or kinds[1:] == ["LT", "VALUE_REF"]:
                return 0, _place(order, value, after=kinds[1] == "LE")
            if kinds[1:] == ["GE", "VALUE_REF"] or kinds[1:] == ["GT", "VALUE_REF"]:
                return _place(order, value, after=kinds[1] == "GT"), len(order)
            raise ValueError("another condition")
        return 0, len(order)

    # -- the order

    def _schemas(self, table: dict[str, Any]) -> Iterator[Schema]:
        """Name, hash and range keys of the table itself, whose name is "", and of its indexes."""
        yield "", [table["pk_name"]], [table["sk_name"]] if table["sk_name"] else []
        yield from self._engine._index_key_schemas(table)

    def _order(self, table: dict[str, Any], schema: Schema, partition: str) -> list[Entry]:
        """A partition in order. That of a large one is kept."""
        name = schema[0]
        orders: dict[tuple[str, str], list[Entry]] = self._engine._index_members(table).setdefault(_ORDERS, {})
        order = orders.get((name, partition))
        if order is None:
            if name:
                keys = list(self._engine._index_members(table)[name].get(partition, ()))
            else:
                keys = [(partition, sk) for sk in table["items"].get(partition, ())]
            order = sorted((self._values(table, schema, table["items"][pk][sk]), pk, sk) for pk, sk in keys)
            if len(order) >= _LARGE:
                orders[name, partition] = order
        return order

    def _reorder(
        self, table: dict[str, Any], pk: str, sk: str, old: dict[str, Any] | None, new: dict[str, Any] | None
    ) -> None:
        """Update the existing orders after a write."""
        orders = (table.get(self._engine._INDEX_MEMBERS) or {}).get(_ORDERS)
        if not orders:
            return
        for schema in self._schemas(table):
            for item, add in ((old, False), (new, True)):
                partition = self._engine._index_partition(item, schema[1], schema[2]) if item else None
                order = orders.get((schema[0], partition))
                if order is None or item is None:
                    continue
                entry = (self._values(table, schema, item), pk, sk)
                place = bisect_left(order, entry)
                if add:
                    order.insert(place, entry)
                elif order[place : place + 1] == [entry]:
                    del order[place]
                else:
                    del orders[schema[0], partition]  # changed elsewhere: made again when it is needed

    def _values(self, table: dict[str, Any], schema: Schema, item: dict[str, Any]) -> Values:
        keys = self._engine._index_order_keys(table, schema[2])
        return tuple([self._engine._index_order_value(item, name, kind) for name, kind in keys])


class _Found(NamedTuple):
    """The keys of what can be on a page, in the order of the page."""

    schema: Schema
    partition: str
    stretch: list[Entry]


def _form_of(data: dict[str, Any]) -> tuple[Any, ...] | None:
    """Everything in a query except the texts of its values; None if its form is not one to remember."""
    values, names = data.get("ExpressionAttributeValues"), data.get("ExpressionAttributeNames") or {}
    if not data.keys() <= _PLAIN or type(values) is not dict or type(names) is not dict:
        return None
    for value in values.values():
        text = value.get("S") if type(value) is dict and len(value) == 1 else None
        if type(text) is not str or not 0 < len(text) <= _SHORT:
            return None
    changing = ("ExpressionAttributeValues", "ExpressionAttributeNames", "Limit")
    form = (*values, *names.items(), *((name, one) for name, one in data.items() if name not in changing))
    try:
        hash(form)
    except TypeError:
        return None
    return form


class _Overlay:
    """The engine's tables with one of them replaced while a query runs."""

    def __init__(self, tables: Any, name: str, table: dict[str, Any]) -> None:
        self._tables, self._name, self._table = tables, name, table

    def get(self, name: str, default: Any = None) -> Any:
        return self._table if name == self._name else self._tables.get(name, default)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tables, name)


def _met_by(narrowed: dict[str, Any], evaluate: Callable[..., Any]) -> Callable[..., Any]:
    """Evaluates conditions, but not the one on the keys for each item of a narrowed table, because all of them match
    it.

    For the first item it is evaluated, so that a faulty condition is refused.
    """
    items = [item for rows in narrowed["items"].values() for item in rows.values()]
    known = {id(item) for item in items[1:]}

    def evaluated(expr: str, item: Any, *others: Any, slot: str = "ConditionExpression") -> Any:
        if slot == "KeyConditionExpression" and id(item) in known:
            return True
        return evaluate(expr, item, *others, slot=slot)

    return evaluated


def _values_of(entry: Entry) -> Values:
    return entry[0]


def _place(order: list[Entry], value: Any, *, after: bool = False) -> int:
    """Where a value of the sort key begins, or ends."""
    bisect = bisect_right if after else bisect_left
    return bisect(order, value, key=lambda entry: entry[0][0])


def _is_count(limit: object) -> bool:
    return isinstance(limit, int) and not isinstance(limit, bool) and limit > 0
