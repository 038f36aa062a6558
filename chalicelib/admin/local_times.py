"""Times as operators enter them, in their own zone, whose clock sometimes skips an hour or shows one twice."""

from __future__ import annotations

from datetime import UTC, datetime

from ..domain.clients import zone
from ..domain.errors import Invalid
from ..domain.faults import Fault
from . import formats
from .forms import Form
from .texts import _

FOLD = "_fold"  # after a field's name: which of two equal times is meant


def shown(moment: datetime, zone_name: str) -> str:
    """A moment as the value of an input of type datetime-local, with seconds only if there are any."""
    local = moment.astimezone(zone(zone_name))
    return f"{local:%Y-%m-%dT%H:%M:%S}" if local.second else f"{local:%Y-%m-%dT%H:%M}"


def fold_of(moment: datetime, zone_name: str) -> str:
    """Which of two times on the clock a moment is."""
    return str(moment.astimezone(zone(zone_name)).fold)


def choices(text: str, zone_name: str) -> list[tuple[str, str]]:
    """The two meanings of a time that the clock shows twice, as values and labels of a choice; empty for any other
    time.
    """
    local = _parsed(text)
    moments = _moments(local, zone_name) if local else []
    if len(moments) < 2:
        return []
    names = [f"UTC{moment.astimezone(zone(zone_name)):%z}" for moment in moments]
    told = (_("the first time, %(offset)s", offset=names[0]), _("the second time, %(offset)s", offset=names[1]))
    return list(zip(("0", "1"), told, strict=True))


def entered(form: Form, name: str, zone_name: str, before: datetime | None = None) -> datetime:
    """The moment that was entered. Raises Invalid if it does not exist, or comes twice and none was chosen.

    `before` is the field's old value: if it was not changed, it keeps the milliseconds that the field does not show.
    """
    text = form.text(name)
    local = _parsed(text)
    if local is None:
        if not text:
            raise Invalid.of(name, Fault.REQUIRED)
        raise Invalid.of(name, Fault.AS_TOLD, text=_("must be a date and a time"))
    moments = _moments(local, zone_name)
    if not moments:
        after = local.replace(tzinfo=zone(zone_name)).astimezone(UTC).astimezone(zone(zone_name))
        told = formats.clock(after)
        told = _("does not exist in %(zone)s: the clocks go forward to %(time)s", zone=zone_name, time=told)
        raise Invalid.of(name, Fault.AS_TOLD, text=told)
    chosen = form.text(name + FOLD)
    if len(moments) == 2 and chosen not in ("0", "1"):
        told = _("comes twice in %(zone)s, because the clocks go back; choose one of the two", zone=zone_name)
        raise Invalid.of(name, Fault.AS_TOLD, text=told)
    moment = moments[int(chosen) if len(moments) == 2 else 0]
    return before if before and moment == before.replace(microsecond=0) else moment


def _parsed(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo or not 1970 < moment.year < 2200 else moment


def _moments(local: datetime, zone_name: str) -> list[datetime]:
    """The moments (UTC) at which the zone's clock shows this time: none, one or two."""
    place = zone(zone_name)
    found = {local.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(moment for moment in found if moment.astimezone(place).replace(tzinfo=None) == local)
