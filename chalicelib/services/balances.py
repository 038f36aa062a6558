"""Balances: how much money is left at gateways whose providers tell it. They are only shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ..clock import SystemClock
from ..config import Settings
from ..domain.balances import Balance
from ..domain.gateway_routes import shown
from ..domain.reasons import Cause
from ..observability import logger
from ..queues import BALANCE
from ..storage.balances import BalanceRepository
from .gateways import Gateways, Line

KNOWN_FOR = timedelta(minutes=10)  # before the provider is asked again, whatever it answered
_CONNECT, _ANSWER = 1, 3  # seconds for a call of the sender's function; a page waits for it

Ask = Callable[[str], Balance]  # given the gateway's name for people


def ask_directly(gateways: Gateways, gateway: str) -> Balance:
    """Ask the provider from this process, as the sender's function and `make run` can. Raises nothing."""
    try:
        told = gateways.named(gateway).gateway.balance()
    except Exception as error:  # a broken adapter must not break a page
        logger.exception("the gateway adapter failed", gateway=gateway, error=type(error).__name__)
        return Balance()
    if isinstance(told, Cause):
        logger.warning("balance not known", extra={"gateway": gateway, **told.logged})
        return Balance()
    return told


def ask_the_sender(settings: Settings, gateway: str) -> Balance:
    """Have the sender's function ask, because only it may read the token on AWS. Raises nothing."""
    event = json.dumps({BALANCE: gateway}).encode()
    try:
        answer = _lambda_client().invoke(FunctionName=f"{settings.resource_prefix}-sender", Payload=event)
        content = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise ValueError("the sender's function failed")
        return Balance(content["amount"], content["currency"])
    except (ClientError, BotoCoreError, ValueError, KeyError, TypeError) as error:
        logger.warning("balance not known", gateway=gateway, error=type(error).__name__)
        return Balance()


def _lambda_client() -> Any:
    config = Config(connect_timeout=_CONNECT, read_timeout=_ANSWER, retries={"total_max_attempts": 1})
    return botocore.session.get_session().create_client("lambda", config=config)


class BalanceService:
    """Asks when somebody wants to see a balance, at most every ten minutes."""

    def __init__(self, balances: BalanceRepository, ask: Ask, clock: SystemClock) -> None:
        self._balances = balances
        self._ask = ask
        self._clock = clock

    def of(self, line: Line) -> Balance | None:
        """The balance, at most ten minutes old; None if the gateway tells none. Raises Unavailable.

        If the provider does not answer, it is the last known balance.
        """
        if not line.gateway.capabilities.tells_balance:
            return None
        name, now = shown(line.name), self._clock.now()
        last = self._balances.get(name)
        moments = (last.asked_at, last.failed_at) if last else ()
        if last and any(moment and timedelta(0) <= now - moment < KNOWN_FOR for moment in moments):
            return last
        told = replace(self._ask(name), asked_at=now)
        if last and last.amount and not told.amount:
            told = replace(last, failed_at=now)
        self._balances.put(name, told)
        return told
