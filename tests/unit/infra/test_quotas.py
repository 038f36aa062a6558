"""What the account lacks is said before anything is made, with what was found, what is needed and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.parameters import Parameters
from infra.quotas import QuotaError, check_quotas


class Account:
    """An account with these quotas; an operation that is missing is answered as an engine without it does."""

    def __init__(self, *, emulated: bool = False, code: str = "", free: int = 1000, writes: int = 40_000) -> None:
        self.emulated = emulated
        self.code = code
        self.free = free
        self.writes = writes

    def client(self, service: str) -> Any:
        return self

    def _answer(self, operation: str, answer: dict[str, Any]) -> dict[str, Any]:
        if self.code:
            raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, operation)
        return answer

    def get_account_settings(self) -> Any:
        limit = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": self.free}
        return self._answer("GetAccountSettings", {"AccountLimit": limit})

    def describe_limits(self) -> Any:
        limits = {"TableMaxWriteCapacityUnits": self.writes, "TableMaxReadCapacityUnits": 40_000}
        return self._answer("DescribeLimits", limits)


def check(account: Account, **environ: str) -> list[str]:
    """What was said."""
    said: list[str] = []
    check_quotas(account, Parameters.read(environ, "none").effective({}), said.append)  # type: ignore[arg-type]
    return said


def test_an_account_that_has_enough_is_told_so() -> None:
    """Expects each quota with what was found and what is needed."""
    said = check(Account())
    assert len(said) == 3
    assert "1,000 found, 36 needed (10 senders, 20 dispatchers, tick, report, 4 of the API" in said[0]
    assert "40,000 found, 4,000 needed" in said[1]


def test_a_new_accounts_concurrency_is_too_little() -> None:
    """All ten would be senders and dispatchers, and nobody could press pause."""
    with pytest.raises(QuotaError) as caught:
        check(Account(free=10))
    text = str(caught.value)
    assert "10 found, 36 needed" in text
    assert "nobody could pause a mailing" in text
    assert "request-service-quota-increase --service-code lambda --quota-code L-B99A9384" in text


def test_what_the_text_advises_for_a_new_account_is_enough() -> None:
    """Expects the smallest stack to fit into ten."""
    assert len(check(Account(free=10), SENDER_CONCURRENCY="2", DISPATCHER_CONCURRENCY="2")) == 3


def test_more_senders_than_the_account_runs_are_refused() -> None:
    """Expects what others have reserved to count as gone, and the way to get it back."""
    with pytest.raises(QuotaError, match=r"500 found, 626 needed.*or reserve less: the account may run 1000"):
        check(Account(free=500), SENDER_CONCURRENCY="600")


def test_warm_throughput_above_the_tables_quota_is_refused() -> None:
    """Expects its variable to be named."""
    with pytest.raises(QuotaError, match=r"40,000 found, 50,000 needed \(LEDGER_WARM_WRITES=50000\).*throughput limit"):
        check(Account(), LEDGER_WARM_WRITES="50000")


def test_everything_that_is_missing_is_reported_at_once() -> None:
    """Nobody wants to ask twice for more."""
    with pytest.raises(QuotaError) as caught:
        check(Account(free=10, writes=1000))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("code", ["InternalFailure", "UnknownOperationException", "NotImplemented", "501", "404"])
def test_an_engine_that_does_not_tell_is_told_so_and_goes_on(code: str) -> None:
    """Expects a line for each service, and no refusal."""
    said = check(Account(emulated=True, code=code))
    assert said == [
        "  Quotas of lambda are not checked: this engine does not tell them",
        "  Quotas of dynamodb are not checked: this engine does not tell them",
    ]


def test_an_emulators_quotas_stop_nothing() -> None:
    """They are made up."""
    assert len(check(Account(emulated=True, free=1))) == 3


def test_whoever_may_not_ask_is_told_which_permission_is_missing() -> None:
    """Expects the deploy to go on, for it may work."""
    said = check(Account(code="AccessDeniedException"))
    assert said[0] == "  Quotas of lambda are not checked: needs the permission lambda:GetAccountSettings"


def test_an_aws_that_does_not_answer_is_an_error() -> None:
    """Expects it not to be taken for an account that has enough."""
    with pytest.raises(ClientError):
        check(Account(code="ServiceException"))
