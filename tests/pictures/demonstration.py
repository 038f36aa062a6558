"""A service as it looks in use: clients, mailings of every kind, failures, and one that is being sent. Nobody is
real.

Phone numbers are made up, in the ranges of Britain and America that are reserved for that.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

from tests.support.faulty_gateway import FaultyGateway
from tests.support.local_run import ApiCaller, LocalRun, wait_until

_PLACES = (  # a number's beginning, its last digits, the operator where the number does not tell it, zone, of how many
    ("+7999000", 4, "", "Europe/Moscow", 50),
    ("+7998000", 4, "", "Asia/Yekaterinburg", 25),
    ("+7997000", 4, "", "Asia/Novosibirsk", 15),
    ("+447700900", 3, "770", "Europe/London", 9),
    ("+120255501", 2, "202", "America/New_York", 1),
)
_TAGS = ("newsletter", "newsletter", "newsletter", "loyalty", "loyalty", "pick-up")
SENT_BEFORE = (
    ("Your parcel is at the pick-up point until Friday, 8 p.m. Show this message at the counter.", ["pick-up"]),
    ("Thank you for staying with us! This week every coffee is on the house for members.", ["loyalty"]),
)
BEING_SENT = "Weekend sale: 20 % off everything in the shop and online, until Sunday night."
TO_COME = (
    ("We are open again from Monday. Come and see the new place!", ["newsletter", "loyalty"], timedelta(hours=3)),
    ("Reminder: your points expire at the end of the month.", ["loyalty"], timedelta(days=1, hours=2)),
    ("Ваш заказ готов к выдаче, ждём вас до 20:00.", ["pick-up"], timedelta(days=2)),
)


def misbehave(gateway: FaultyGateway) -> None:
    """Let the gateway fail sometimes, as real ones do."""

    def answer(gateway_id: int, nth: int) -> str:
        kind = gateway_id % 100
        if kind == 0:
            return "400"
        if kind == 1:
            return "503"
        return "503" if kind < 6 and nth == 1 else "ok"

    gateway.behave = answer


def fill(run: LocalRun, api: ApiCaller, clients: int = 6000) -> dict[str, str]:
    """Create everything; the last mailing is still being sent afterwards. Returns the values for the pages' paths,
    by name."""
    rng = random.Random(7)
    imported = _import(api, clients, rng)
    _yesterday(run, rng)
    sent = [_order(api, text, tags) for text, tags in SENT_BEFORE]
    for mailing in sent:
        wait_until(lambda one=mailing: api.call("GET", f"/api/mailing/{one}")["status"] == "finished", 120)
    to_come = [_order(api, text, tags, later=later) for text, tags, later in TO_COME]
    paused = _order(
        api, "Your membership card is ready; collect it at any desk.", ["loyalty"], later=timedelta(hours=5)
    )
    api.call("POST", f"/api/mailing/{paused}/pause")
    running = _order(api, BEING_SENT, ["newsletter"], rate=16)
    (failed, *_) = api.rows("/api/messages", mailing=sent[0], status="failed")
    return {
        "mailing_id": sent[0],
        "running_id": running,
        "next_id": to_come[0],
        "message_id": failed["id"],
        "client_id": failed["client"],
        "about": failed["id"],
        "import_id": imported,
        "username": "admin",
    }


def _import(api: ApiCaller, count: int, rng: random.Random) -> str:
    weights = [place[4] for place in _PLACES]
    given: Counter[str] = Counter()
    lines = ["phone_number,operator,tag,timezone,opted_out"]
    for _ in range(count):
        start, digits, operator, zone, _weight = rng.choices(_PLACES, weights)[0]
        number = f"{start}{given[start] % 10**digits:0{digits}d}"
        given[start] += 1
        opted_out = "true" if rng.random() < 0.02 else "false"
        lines.append(f"{number},{operator},{rng.choice(_TAGS)},{zone},{opted_out}")
    lines += ["8 800,,newsletter,Europe/Moscow,false", "+79990001111111,,loyalty,Europe/Moskow,false"]
    text = "\n".join(lines).encode()
    answer = api.request("POST", "/api/clients/imports", data=text, headers={"Content-Type": "text/csv"})
    assert answer.ok, answer.text
    path = f"/api/clients/imports/{answer.json()['id']}"
    wait_until(lambda: api.call("GET", path)["status"] == "finished", 120)
    return str(answer.json()["id"])


def _order(api: ApiCaller, text: str, tags: list[str], *, later: timedelta = timedelta(0), rate: int = 0) -> str:
    starts = datetime.now(UTC) + later
    order = {
        "text": text,
        "clients": {"tag": tags},
        "start_time": starts.isoformat(),
        "end_time": (starts + timedelta(hours=10)).isoformat(),
    }
    return str(api.call("POST", "/api/mailing", {**order, **({"rate_limit": rate} if rate else {})})["id"])


def _yesterday(run: LocalRun, rng: random.Random) -> None:
    """What was sent in the hours before, more of it by day."""
    now = datetime.now(UTC)
    with run.services() as services:
        for hours in range(1, 24):
            then = now - timedelta(hours=hours)
            count = rng.randrange(1500, 4000) * max(0, 8 - abs(13 - then.hour)) // 8
            ended = Counter({"sent": count, "failed": count // 60, "expired": count // 150})
            services.overviews._activity.add(ended, then)
