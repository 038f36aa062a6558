"""Which gateway a message goes to: by its number, in shares, always the same; and who is bound to one."""

from __future__ import annotations

from collections import Counter

import pytest

from chalicelib.domain.gateway_routes import GatewayRoutes, Route, bound_to
from chalicelib.domain.messages import Attempt, Outcome
from tests.factories import START

ROUTES = GatewayRoutes.of(
    [
        Route("", (("a", 1), ("b", 1))),
        Route("+7", (("a", 3), ("b", 1))),
        Route("+7916", (("c", 1),)),
    ]
)
NUMBERS = range(4000)


def attempts(*told: tuple[Outcome, str]) -> list[Attempt]:
    return [Attempt(START, 1, outcome, gateway=gateway) for outcome, gateway in told]


def test_the_longest_prefix_counts() -> None:
    """Expects the order of the routes not to matter."""
    assert ROUTES.order("m", "+79161234567") == ("c",)
    assert set(ROUTES.order("m", "+79031234567")) == {"a", "b"}
    assert GatewayRoutes().order("m", "+79161234567") == ("",)


def test_each_gets_its_share_and_a_message_always_the_same() -> None:
    """Expects three of four, by the id alone."""
    first = [ROUTES.order(f"m{number}", "+79030000000")[0] for number in NUMBERS]
    assert first == [ROUTES.order(f"m{number}", "+79990000000")[0] for number in NUMBERS]
    assert 0.72 < Counter(first)["a"] / len(first) < 0.78


def test_a_third_gateway_takes_messages_only_for_itself() -> None:
    """Expects none to go from one of the others to the other."""
    more = GatewayRoutes.of([Route("", (("a", 1), ("b", 1), ("new", 1)))])
    for number in NUMBERS:
        old, new = (one.order(f"m{number}", "+4470") for one in (ROUTES, more))
        assert new[0] in (old[0], "new")
        assert tuple(name for name in new if name != "new") == old


@pytest.mark.parametrize(
    ("made", "bound"),
    [
        ([], None),
        ([(Outcome.FAILED, "a"), (Outcome.THROTTLED, "b"), (Outcome.BLOCKED, "a")], None),
        ([(Outcome.FAILED, "b"), (Outcome.UNKNOWN, "a")], "a"),
        ([(Outcome.UNKNOWN, "a"), (Outcome.FAILED, "a"), (Outcome.UNCLEAR, "a")], "a"),
        ([(Outcome.UNKNOWN, ""), (Outcome.FAILED, "")], ""),
        ([(Outcome.UNKNOWN, "a"), (Outcome.MISSING, "a")], "a"),
        ([(Outcome.UNKNOWN, "a"), (Outcome.MISSING, "a"), (Outcome.MISSING, "a")], None),
        ([(Outcome.UNKNOWN, "a"), (Outcome.MISSING, "a"), (Outcome.MISSING, "a"), (Outcome.UNKNOWN, "b")], "b"),
    ],
)
def test_who_may_have_it_is_the_only_one(made: list[tuple[Outcome, str]], bound: str | None) -> None:
    """Expects only what certainly nobody has to be free."""
    assert bound_to(attempts(*made)) == bound
