"""All changes of MiniStack, made from outside: a module for each fault; this one installs them.

docs/upstream.md describes each fault with its cause, so that fixes can be offered to MiniStack. The patches depend on
internals, so they fit one release; tests/contract/test_ministack_patches.py says what to check before another one is
used.
"""

from __future__ import annotations

from functools import cache, lru_cache

from infra.local.ordered_reads import OrderedReads
from infra.local.prompt_receives import Bell
from infra.local.quick_items import choosing, copying, cutting, keying, paging, sizing
from infra.local.quick_json import answering, reading
from infra.local.quick_transactions import transacting
from infra.local.remembered_parses import KEPT, judging, remembering, tokenizing
from infra.local.steady_time import SteadyTime

RELEASE = "1.5.33"
# MiniStack's functions about texts of numbers.
JUDGED = ("_number_error", "_number_size_bytes", "_partiql_number_param_error", "_ddb_canonicalize_number")
# What is replaced, by MiniStack's module.
REPLACED = {
    "ministack.services.dynamodb": (
        "_query",
        "_set_item",
        "_remove_item",
        "parse_partiql_statement",
        "_tokenize",
        "_condition_syntax_error",
        *JUDGED,
        "_item_size_bytes",
        "_paginate_evaluated_items",
        "_apply_index_projection",
        "_project_item",
        "_resolve_table_key_values",
        "_transact_write_items",
        "copy",
        "json",
        "json_response",
    ),
    "ministack.services.sqs": ("asyncio", "esm_wake", "json", "time"),
}


def install(*, reads: bool = True, parses: bool = True, queues: bool = True) -> None:
    """Install the patches in this process; may be called several times.

    JSON is read and written, and items are measured and copied, in a shorter way. `reads`: a query looks only at its
    part of a partition; `parses`: a statement is parsed once; `queues`: a receive that waits is woken, and delays do
    not follow a clock that is set back.
    """
    _shorten()
    if reads:
        _order_reads()
    if parses:
        _remember_parses()
    if queues:
        _mend_queues()


@cache
def _shorten() -> None:
    from ministack.services import dynamodb, sqs

    dynamodb.json, sqs.json = reading(dynamodb.json), reading(sqs.json)
    dynamodb.json_response = answering(dynamodb.json_response)
    dynamodb.copy = copying()
    dynamodb._item_size_bytes = sizing(dynamodb._item_size_bytes, dynamodb._attribute_value_size)
    dynamodb._paginate_evaluated_items = paging(dynamodb._paginate_evaluated_items, dynamodb._DDB_PAGE_SIZE_BYTES)
    dynamodb._apply_index_projection = cutting(dynamodb._apply_index_projection)
    dynamodb._project_item = choosing(dynamodb)
    dynamodb._resolve_table_key_values = keying(dynamodb)
    dynamodb._transact_write_items = transacting(dynamodb)


@cache
def _order_reads() -> None:
    from ministack.services import dynamodb

    ordered = OrderedReads(dynamodb)
    dynamodb._query, dynamodb._set_item, dynamodb._remove_item = ordered.query, ordered.set_item, ordered.remove_item


@cache
def _remember_parses() -> None:
    from ministack.services import dynamodb

    dynamodb.parse_partiql_statement = remembering(dynamodb.parse_partiql_statement)
    dynamodb._tokenize = tokenizing(dynamodb._tokenize)
    for name in JUDGED:
        setattr(dynamodb, name, judging(getattr(dynamodb, name)))
    dynamodb._condition_syntax_error = lru_cache(maxsize=KEPT)(dynamodb._condition_syntax_error)


@cache
def _mend_queues() -> None:
    from ministack.services import sqs

    bell = Bell()
    sqs.asyncio = sqs.esm_wake = bell
    sqs.time = SteadyTime()
