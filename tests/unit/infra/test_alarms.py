"""When alarms ring: worked out here from their own numbers as CloudWatch does it, minute by minute."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from chalicelib import observability
from infra.alarms import Alarm, alarms
from infra.metrics import FUNCTIONS, Metric, of_api, of_function, of_queue, of_service

MINUTES = 60
AT = 30  # the minute in which something happens
Series = dict[Metric, dict[int, float]]  # the value of each minute that has one
ALARMS = {one.title: one for one in alarms()}
SUMMED: dict[str, Callable[[Sequence[float]], float]] = {"Sum": sum, "SampleCount": sum, "Maximum": max, "Minimum": min}
PASSED = {"GreaterThanThreshold": float.__gt__, "LessThanThreshold": float.__lt__}
WAITING, AGE = "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"
DELETED = "NumberOfMessagesDeleted"


def quiet() -> Series:
    """An hour in which nothing is wrong."""
    always = range(MINUTES)
    return {
        of_function("tick", "Invocations"): dict.fromkeys(always, 1.0),
        of_service(observability.MAILINGS_UNCHECKED, "Maximum"): dict.fromkeys(always, 0.0),
        of_service(observability.MAILINGS_STALLED, "Maximum"): dict.fromkeys(always, 0.0),
        of_service(observability.CIRCUIT_STATE, "Minimum"): dict.fromkeys(always, 0.0),
    }


def cut_off(function: str) -> Series:
    """A function starts too slowly once and is cut off: what it had waits until the queue or the next tick has it."""
    series = quiet() | {of_function(function, "Errors"): {AT: 1.0}}
    if function == "api":
        series[of_api("5XXError")] = {AT: 1.0}
    if function == "sender":
        series[of_queue("send", WAITING)] = {AT + 3: 10.0}
        series[of_queue("send", DELETED, "Sum")] = dict.fromkeys(range(AT, AT + 4), 0.0)
        series[of_queue("send", AGE)] = dict.fromkeys(range(AT, AT + 4), 200.0)
    if function in ("tick", "dispatcher"):
        series[of_service(observability.MAILINGS_UNCHECKED, "Maximum")] |= {AT + 1: 100.0, AT + 2: 100.0}
        series[of_service(observability.START_LATENESS, "Maximum")] = {AT + 1: 100_000.0}
    if function == "dispatcher":
        series[of_queue("dispatch", WAITING)] = {AT + 12: 1.0}
        series[of_queue("dispatch", AGE)] = dict.fromkeys(range(AT, AT + 13), 740.0)
    return series


def lasting(alarm: Alarm) -> Series:
    """What the alarm is for goes on all the time."""
    always = range(MINUTES)
    if alarm.comparison == "LessThanThreshold":
        return {}
    if alarm.other is None:
        # The report is tried every quarter of an hour, the others all the time.
        often = always[::15] if alarm.title == "report-errors" else always
        return {alarm.metric: dict.fromkeys(often, alarm.threshold + 1)}
    one, other = (30.0, 100.0) if alarm.title == "gateway-refusals" else (5.0, 0.0)
    return {alarm.metric: dict.fromkeys(always, one), alarm.other: dict.fromkeys(always, other)}


def rings(alarm: Alarm, series: Series) -> bool:
    """Whether it does so in any minute, however its periods lie."""
    minutes = alarm.period // 60
    first = alarm.periods * minutes
    return any(_rings_at(alarm, series, end, minutes) for end in range(first, MINUTES + 1))


def _rings_at(alarm: Alarm, series: Series, end: int, minutes: int) -> bool:
    periods = [range(end - (number + 1) * minutes, end - number * minutes) for number in range(alarm.periods)]
    bad = [_is_bad(alarm, series, period) for period in periods]
    return sum(bad) >= alarm.datapoints


def _is_bad(alarm: Alarm, series: Series, period: range) -> bool:
    value = _value(alarm.metric, series, period)
    if alarm.other is not None:
        value = _worked_out(alarm.expression, one=value, other=_value(alarm.other, series, period))
    if value is None:
        return alarm.missing == "breaching"
    return PASSED[alarm.comparison](float(value), float(alarm.threshold))


def _value(metric: Metric, series: Series, period: range) -> float | None:
    found = [series[metric][minute] for minute in period if minute in series.get(metric, {})]
    return SUMMED[metric.statistic](found) if found else None


def _worked_out(expression: str, one: float | None, other: float | None) -> float | None:
    """Metric math, as far as alarms use it: without a value of each there is no result."""
    filled = re.sub(r"FILL\(other, 0\)", str(0.0 if other is None else other), expression)
    if one is None or (other is None and "other" in filled):
        return None
    condition, yes, no = re.fullmatch(r"IF\((.+?), (.+), (.+)\)", filled).groups()  # type: ignore[union-attr]
    names = {"one": one, "other": other}
    chosen = yes if eval(condition.replace("AND", "and"), {}, names) else no  # noqa: S307 - our own text
    return float(eval(chosen, {}, names))  # noqa: S307 - our own text


@pytest.mark.parametrize("alarm", ALARMS.values(), ids=ALARMS)
def test_no_alarm_rings_while_nothing_is_wrong(alarm: Alarm) -> None:
    """Not for what has no data, either."""
    assert not rings(alarm, quiet())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_alarm_rings_for_one_function_that_was_cut_off(function: str) -> None:
    """A cold start may end in a time-out; what it had to do is done by the next one, and nobody needs to be woken."""
    assert [title for title, alarm in ALARMS.items() if rings(alarm, cut_off(function))] == []


@pytest.mark.parametrize("alarm", ALARMS.values(), ids=ALARMS)
def test_an_alarm_rings_for_what_goes_on(alarm: Alarm) -> None:
    """Each for its own, also if it happens as seldom as the function is begun."""
    assert rings(alarm, lasting(alarm))


def test_workers_that_finish_something_are_not_silent() -> None:
    """However much waits."""
    series = lasting(ALARMS["senders-silent"])
    series[of_queue("send", DELETED, "Sum")] = dict.fromkeys(range(0, MINUTES, 4), 1.0)
    assert not rings(ALARMS["senders-silent"], series)


def test_workers_without_work_are_not_silent() -> None:
    """Nothing waits, and so nothing is finished."""
    series: Series = {of_queue("send", WAITING): dict.fromkeys(range(MINUTES), 0.0)}
    assert not rings(ALARMS["senders-silent"], series)


def test_a_tick_that_catches_up_within_two_minutes_is_not_behind() -> None:
    """With very many mailings every other tick finds some that are left."""
    series: Series = {
        of_service(observability.MAILINGS_UNCHECKED, "Maximum"): {
            minute: 100.0 * (minute % 2) for minute in range(MINUTES)
        }
    }
    assert not rings(ALARMS["tick-behind"], series)
