"""Quotas: compares what a deploy needs with what the account has, before anything is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.account import Account

API_AT_ONCE = 4  # requests that must be served while everything else is busy, such as somebody pausing a mailing
ALONE = 2  # the tick and the report
_NEW_TABLE = {"write": 4_000, "read": 12_000}  # units a second that an on-demand table takes from the start
_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")


class QuotaError(Exception):
    """A quota is too small; the text says what was found, what is needed and what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One quota: how much there is, how much is needed, and what to do if that is more."""

    what: str
    there: int
    needed: int
    needed_for: str
    remedy: str

    @property
    def enough(self) -> bool:
        return self.there >= self.needed

    def __str__(self) -> str:
        return f"{self.what}: {self.there:,} found, {self.needed:,} needed ({self.needed_for})"


def check_quotas(account: Account, values: Mapping[str, str], tell: Callable[[str], None]) -> None:
    """Compare the account's quotas with what a stack with these parameters needs.

    Raises QuotaError if one is too small.

    A quota that cannot be read is printed but is no error, and neither are an emulator's quotas.
    """
    lacking = []
    for ask, service, action in (
        (_concurrency, "lambda", "lambda:GetAccountSettings"),
        (_tables, "dynamodb", "dynamodb:DescribeLimits"),
    ):
        try:
            findings = list(ask(account.client(service), values))
        except (BotoCoreError, ClientError, KeyError) as error:
            if not account.emulated and not _denied(error):
                raise
            why = f"needs the permission {action}" if not account.emulated else "this engine does not tell them"
            tell(f"  Quotas of {service} are not checked: {why}")
            continue
        for finding in findings:
            tell(f"  {finding}")
            if not finding.enough and not account.emulated:
                lacking.append(f"{finding}. {finding.remedy}")
    if lacking:
        raise QuotaError("\n".join(lacking))


def concurrency_needed(values: Mapping[str, str]) -> int:
    """How many functions of the stack may want to run at the same time."""
    return int(values["SenderConcurrency"]) + int(values["DispatcherConcurrency"]) + ALONE + API_AT_ONCE


def _concurrency(client: Any, values: Mapping[str, str]) -> Iterator[Finding]:
    limit = client.get_account_settings()["AccountLimit"]
    senders, dispatchers = int(values["SenderConcurrency"]), int(values["DispatcherConcurrency"])
    yield Finding(
        "Functions that Lambda runs at once and no function has reserved",
        int(limit["UnreservedConcurrentExecutions"]),
        concurrency_needed(values),
        f"{senders} senders, {dispatchers} dispatchers, tick, report, {API_AT_ONCE} of the API; all others of this "
        "region share them",
        "With fewer the API would get no turn, and nobody could pause a mailing. Ask for more: aws service-quotas "
        "request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000. Until "
        "then set SENDER_CONCURRENCY=2 DISPATCHER_CONCURRENCY=2, which needs 10"
        + (
            f"; or reserve less: the account may run {int(limit['ConcurrentExecutions'])}"
            if limit["ConcurrentExecutions"] > limit["UnreservedConcurrentExecutions"]
            else ""
        ),
    )


def _tables(client: Any, values: Mapping[str, str]) -> Iterator[Finding]:
    limits = client.describe_limits()
    warm = {"write": int(values["LedgerWarmWrites"]), "read": int(values["LedgerWarmReads"])}
    asked = warm["write"] > 0
    for kind, name in (("write", "LEDGER_WARM_WRITES"), ("read", "LEDGER_WARM_READS")):
        needed = max(_NEW_TABLE[kind], warm[kind] if asked else 0)
        yield Finding(
            f"{kind.capitalize()} units a second of one table",
            int(limits[f"TableMax{kind.capitalize()}CapacityUnits"]),
            needed,
            f"{name}={warm[kind]}" if asked else "what a new table takes",
            f"Ask for more: in Service Quotas, Amazon DynamoDB, “Table-level {kind} throughput limit”"
            + (f"; or set a smaller {name}" if asked else ""),
        )


def _denied(error: Exception) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in _DENIED
