"""The PynamoDB models of the tables in infra/resources.yaml; a test compares the two."""

from __future__ import annotations

from typing import Any, Self

from pynamodb.attributes import BooleanAttribute, ListAttribute, MapAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection, KeysOnlyProjection

from ..domain.mailing_counters import SEPARATOR
from ..domain.statuses import COUNTED
from .moments import MomentAttribute
from .row_model import Row

# The fields that dispatch needs besides the id; the indexes have them too (decisions/0014).
CONTACT = ["phone_number", "timezone", "opted_out", "unreachable"]


class ClientByTag(GlobalSecondaryIndex["ClientModel"]):
    class Meta:
        index_name = "contacts_by_tag"
        projection = IncludeProjection(CONTACT)

    shard = UnicodeAttribute(hash_key=True)
    tag_key = UnicodeAttribute(range_key=True)


class ClientByOperator(GlobalSecondaryIndex["ClientModel"]):
    class Meta:
        index_name = "contacts_by_operator"
        projection = IncludeProjection(CONTACT)

    shard = UnicodeAttribute(hash_key=True)
    operator_key = UnicodeAttribute(range_key=True)


class ClientModel(Row):
    class Meta:
        table_name = "clients"

    client_id = UnicodeAttribute(hash_key=True)
    shard = UnicodeAttribute()
    tag_key = UnicodeAttribute()
    operator_key = UnicodeAttribute()
    phone_number = UnicodeAttribute()
    operator = UnicodeAttribute()
    tag = UnicodeAttribute()  # the first
    tags = UnicodeAttribute(null=True)  # all, if there are several
    timezone = UnicodeAttribute()
    opted_out = BooleanAttribute()
    language = UnicodeAttribute(null=True)
    attributes = UnicodeAttribute(null=True)  # as JSON
    external_id = UnicodeAttribute(null=True)
    created_at = MomentAttribute()
    updated_at = MomentAttribute()
    renumbered = BooleanAttribute(null=True)
    lost = UnicodeAttribute(null=True)
    unreachable = BooleanAttribute(null=True)
    # Of items that are no clients: where an alias leads, a removed client's mark, and whether the id is free again.
    alias_of = UnicodeAttribute(null=True)
    gone = BooleanAttribute(null=True)
    freed = BooleanAttribute(null=True)
    contacts_by_tag = ClientByTag()
    contacts_by_operator = ClientByOperator()


class ExternalIdModel(Row):
    """An item in the table of clients that leads from an external id to its client."""

    class Meta:
        table_name = "clients"

    client_id = UnicodeAttribute(hash_key=True)
    alias_of = UnicodeAttribute()


class TagItemModel(Row):
    """An item in the table of clients for a further tag of a client; it is only in the index by tag."""

    class Meta:
        table_name = "clients"

    client_id = UnicodeAttribute(hash_key=True)  # followed by the tag
    shard = UnicodeAttribute()
    tag_key = UnicodeAttribute()


class MailingByStatus(GlobalSecondaryIndex["MailingModel"]):
    class Meta:
        index_name = "by_status"
        projection = AllProjection()

    status = UnicodeAttribute(hash_key=True)
    start_at = MomentAttribute(range_key=True)


class MailingByAge(GlobalSecondaryIndex["MailingModel"]):
    class Meta:
        index_name = "by_age"
        projection = AllProjection()

    kind = UnicodeAttribute(hash_key=True)
    mailing_id = UnicodeAttribute(range_key=True)


class MailingModel(Row):
    """The parts of a mailing: META (what was ordered), SHARD#nn (dispatch), STATS#nn (counts), SPENT, FINAL (the end).

    SHARD and STATS have further counters for reasons and hours, named by domain.mailing_counters. Under
    `<mailing>#walks` there is a row for each shard with the walk through its ledger.
    """

    class Meta:
        table_name = "mailings"

    mailing_id = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    # META
    kind = UnicodeAttribute(null=True)
    status = UnicodeAttribute(null=True)
    revision = NumberAttribute(null=True)
    name = UnicodeAttribute(null=True)
    text = UnicodeAttribute(null=True)
    tags: ListAttribute[str] = ListAttribute(null=True)
    operators: ListAttribute[str] = ListAttribute(null=True)
    filter = UnicodeAttribute(null=True)  # as JSON
    recipients = UnicodeAttribute(null=True)  # the import of a file of recipients
    start_at = MomentAttribute(null=True)
    end_at = MomentAttribute(null=True)
    on_unknown = UnicodeAttribute(null=True)
    rate_limit = NumberAttribute(null=True)
    created_by = UnicodeAttribute(null=True)
    created_at = MomentAttribute(null=True)
    updated_at = MomentAttribute(null=True)
    launched_at = MomentAttribute(null=True)
    widened_at = MomentAttribute(null=True)
    shards = NumberAttribute(null=True)  # 16 if absent
    buckets = NumberAttribute(null=True)  # of each
    asked_until = MomentAttribute(null=True)
    finished_at = MomentAttribute(null=True)
    window_from = UnicodeAttribute(null=True)
    window_until = UnicodeAttribute(null=True)
    window_policy = UnicodeAttribute(null=True)
    late = UnicodeAttribute(null=True)
    gateway = UnicodeAttribute(null=True)
    include_unreachable = BooleanAttribute(null=True)
    texts: MapAttribute[str, str] = MapAttribute(null=True)
    missing = UnicodeAttribute(null=True)
    template = UnicodeAttribute(null=True)
    keep_values = BooleanAttribute(null=True)
    budget = NumberAttribute(null=True)  # in millionths of the currency, like `spent`
    paused_for = UnicodeAttribute(null=True)
    reopening: ListAttribute[str] = ListAttribute(null=True)
    final: MapAttribute[str, int] = MapAttribute(null=True)
    history: ListAttribute[str] = ListAttribute(null=True)
    stops: ListAttribute[str] = ListAttribute(null=True)
    # SHARD#nn
    cursor = UnicodeAttribute(null=True)
    expanded = BooleanAttribute(null=True)
    rows = NumberAttribute(null=True)
    feed_cursor = UnicodeAttribute(null=True)
    fed = BooleanAttribute(null=True)
    feed_round = NumberAttribute(null=True)
    owner = UnicodeAttribute(null=True)
    lease_until = MomentAttribute(null=True)
    # STATS#nn; in SHARD#nn, rows that dispatch itself settled
    sent = NumberAttribute(null=True)
    failed = NumberAttribute(null=True)
    unknown = NumberAttribute(null=True)
    expired = NumberAttribute(null=True)
    cancelled = NumberAttribute(null=True)
    skipped = NumberAttribute(null=True)
    waiting = NumberAttribute(null=True)
    first_sent_at = MomentAttribute(null=True)
    last_sent_at = MomentAttribute(null=True)
    # SPENT
    spent = NumberAttribute(null=True)
    # SHARD#00: the last look at all waiting messages
    looked_at = MomentAttribute(null=True)
    due_at = MomentAttribute(null=True)
    # A walk
    round = UnicodeAttribute(null=True)
    lap = NumberAttribute(null=True)
    done = BooleanAttribute(null=True)
    open = NumberAttribute(null=True)
    late_rows = NumberAttribute(null=True)
    # FINAL, and walks: all counters of the recount so far
    counters: MapAttribute[str, int] = MapAttribute(null=True)
    by_status = MailingByStatus()
    by_age = MailingByAge()

    @property
    def counters_by_name(self) -> dict[str, int]:
        """All counters in SHARD and STATS: of statuses, reasons and hours."""
        counters_by_name: dict[str, int] = self.__dict__.get("_counters_by_name", {})
        return counters_by_name

    @classmethod
    def from_raw_data(cls, data: dict[str, dict[str, Any]]) -> Self:
        """The row, with the counters that are no attributes of this class."""
        row = super().from_raw_data(data)
        names = (name for name in data if SEPARATOR in name or name in COUNTED)
        row.__dict__["_counters_by_name"] = {name: int(data[name]["N"]) for name in names}
        return row


class BucketParked(GlobalSecondaryIndex["BucketModel"]):
    class Meta:
        index_name = "parked"
        projection = KeysOnlyProjection()

    parked_in = UnicodeAttribute(hash_key=True)
    due_at = MomentAttribute(range_key=True)


class BucketTrouble(GlobalSecondaryIndex["BucketModel"]):
    class Meta:
        index_name = "trouble"
        projection = KeysOnlyProjection()

    trouble_of = UnicodeAttribute(hash_key=True)
    trouble_at = NumberAttribute(range_key=True)


class BucketModel(Row):
    """The ledger: the messages of a mailing, about nine to a row; `message_lines` explains `messages`."""

    class Meta:
        table_name = "ledger"

    ledger_key = UnicodeAttribute(hash_key=True)
    bucket_no = NumberAttribute(range_key=True)
    messages = UnicodeAttribute()
    zones = UnicodeAttribute()
    since = MomentAttribute()
    revision = NumberAttribute()
    expires_at = NumberAttribute(null=True)  # seconds since 1970, as DynamoDB's TTL wants it
    parked_in = UnicodeAttribute(null=True)
    due_at = MomentAttribute(null=True)
    trouble_of = UnicodeAttribute(null=True)
    trouble_at = NumberAttribute(null=True)
    parked = BucketParked()
    trouble = BucketTrouble()


class UserByGroup(GlobalSecondaryIndex["UserModel"]):
    class Meta:
        index_name = "by_group"
        projection = AllProjection()

    group = UnicodeAttribute(hash_key=True)
    key = UnicodeAttribute(range_key=True)


class UserModel(Row):
    """Users (`user#name`), tokens (`token#hash`) and counters of failed logins (`login#…`)."""

    class Meta:
        table_name = "users"

    key = UnicodeAttribute(hash_key=True)
    group = UnicodeAttribute(null=True)
    username = UnicodeAttribute(null=True)
    role = UnicodeAttribute(null=True)
    password_hash = UnicodeAttribute(null=True)
    tokens_since = MomentAttribute(null=True)
    token_id = UnicodeAttribute(null=True)
    token_name = UnicodeAttribute(null=True)
    failures = NumberAttribute(null=True)
    created_at = MomentAttribute(null=True)
    updated_at = MomentAttribute(null=True)
    expires_at = NumberAttribute(null=True)  # seconds since 1970, as DynamoDB's TTL wants it
    by_group = UserByGroup()


class SettingModel(Row):
    """Counters, leases and settings that change while the service runs."""

    class Meta:
        table_name = "settings"

    scope = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute(range_key=True)
    amount = NumberAttribute(null=True)  # of a counter, or of a slice of mailings
    began_at = MomentAttribute(null=True)
    owner = UnicodeAttribute(null=True)
    lease_until = MomentAttribute(null=True)
    body = UnicodeAttribute(null=True)
    spent = NumberAttribute(null=True)  # of a month's budget, in millionths of the currency
    # The gateway's control
    rate = NumberAttribute(null=True)
    month_budget = NumberAttribute(null=True)
    retry_at = MomentAttribute(null=True)
    opened_at = MomentAttribute(null=True)
    stopped_at = MomentAttribute(null=True)
    resumed_at = MomentAttribute(null=True)
    trips = NumberAttribute(null=True)
    troubled: ListAttribute[str] = ListAttribute(null=True)
    held = BooleanAttribute(null=True)
    revision = NumberAttribute(null=True)
    changed_by = UnicodeAttribute(null=True)
    changed_at = MomentAttribute(null=True)
    reason = UnicodeAttribute(null=True)
    cause = UnicodeAttribute(null=True)
    slowed_at = MomentAttribute(null=True)
    slowed_to = NumberAttribute(null=True)
    finding = BooleanAttribute(null=True)
    rest_until = MomentAttribute(null=True)
    refused: ListAttribute[str] = ListAttribute(null=True)
    refusal = UnicodeAttribute(null=True)
    # A change of it, with `changed_by`, `changed_at` and `reason`
    setting = UnicodeAttribute(null=True)
    old_value = UnicodeAttribute(null=True)
    new_value = UnicodeAttribute(null=True)
    # A pace, in microseconds since 1970
    next_at = NumberAttribute(null=True)
    apart = ListAttribute(of=NumberAttribute, null=True)
    weights = ListAttribute(of=NumberAttribute, null=True)  # of each of those, unless all are 1
    # A request that created a mailing
    fingerprint = UnicodeAttribute(null=True)
    mailing_id = UnicodeAttribute(null=True)
    # An import: its progress, and its chunks
    content = UnicodeAttribute(null=True)
    chunks_done = NumberAttribute(null=True)
    created = NumberAttribute(null=True)
    changed = NumberAttribute(null=True)
    unchanged = NumberAttribute(null=True)
    opt_outs_kept = NumberAttribute(null=True)
    rejected_later = NumberAttribute(null=True)
    later_pages = NumberAttribute(null=True)
    opted_out = NumberAttribute(null=True)
    opted_in_again = NumberAttribute(null=True)
    # Messages that ended in an hour, by status
    sent = NumberAttribute(null=True)
    failed = NumberAttribute(null=True)
    unknown = NumberAttribute(null=True)
    expired = NumberAttribute(null=True)
    cancelled = NumberAttribute(null=True)
    skipped = NumberAttribute(null=True)
    expires_at = NumberAttribute(null=True)
