"""A service full of the longest values that are allowed, of right-to-left text and of emoji."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.bootstrap import Services
from chalicelib.domain.attributes import MAX_NAME
from chalicelib.domain.gateway_control import MAX_REASON
from chalicelib.domain.mailings import MAX_TEXT_LENGTH, MOST_LANGUAGES
from chalicelib.domain.messages import Message
from chalicelib.domain.reasons import Cause, Reason
from chalicelib.domain.segments import MAX_SEGMENT_VALUES
from chalicelib.domain.statuses import MessageStatus
from chalicelib.domain.tags import MAX_TAG_LENGTH
from chalicelib.domain.users import MAX_USERNAME_LENGTH
from chalicelib.queues import Hint
from tests.support.local_run import PASSWORD, ApiCaller, LocalRun, wait_until

FAMILY = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"
HEBREW = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"  # shalom olam
MIXED = f"{HEBREW} {FAMILY} <b>&amp; "
WIDE = "W" * 5000  # the widest letter, without a place to break it
LONGEST_ZONE = "America/Argentina/ComodRivadavia"
LONGEST_USERNAME = "W" * MAX_USERNAME_LENGTH
ATTRIBUTE = "w" * MAX_NAME
LANGUAGES = [f"{letter}aa-Latn-001" for letter in "abcdefghijklmnopqrstuvwxyz"[:MOST_LANGUAGES]]


@dataclass(frozen=True, slots=True)
class Extremes:
    """The values for the parameters of the pages' paths, by parameter name."""

    parameters: dict[str, str]

    def path(self, pattern: str) -> str:
        return pattern.format(**self.parameters)


def fill(run: LocalRun, api: ApiCaller) -> Extremes:
    """Create everything; the circuit is closed at the end, and nothing is being sent."""
    clients = _clients(api)
    tags = {"tag": _tags()}
    template = _templates(api)
    later = _mailing(api, tags, starts_in=1, text=MIXED)
    mailing = _mailing(api, {**tags, "filter": {"any": _conditions(later)}}, template={"id": template})
    wait_until(lambda: api.call("GET", f"/api/mailing/{mailing}")["status"] == "finished")
    many = [f"{number:02d}{WIDE}"[:MAX_TAG_LENGTH] for number in range(MAX_SEGMENT_VALUES)]
    _mailing(api, {"tag": many}, starts_in=1, text=MIXED)
    wide, mixed = _tags()
    rows = {"any": _conditions(later)}
    of_rows = _segment(api, wide, {"tag": many, "filter": rows})
    of_levels = _segment(api, mixed, {"tag": many, "filter": {"any": [{"not": rows}]}})
    with run.services() as services:
        causes = [Cause(Reason.OTHER, text[:200]) for text in (MIXED * 9, WIDE)]
        message, _ = give_up(services, mailing, causes)
        services.queues["send-dead"].send([WIDE])  # none of ours
    _settings(api)
    api.call("POST", "/api/users", {"username": LONGEST_USERNAME, "password": PASSWORD, "role": "operator"})
    api.call("POST", "/auth-token", {"username": LONGEST_USERNAME, "password": PASSWORD, "name": WIDE[:64]})
    named = {"username": "admin", "password": run.password, "name": MIXED[:64]}
    token_id = str(api.call("POST", "/auth-token", named)["token_id"])
    return Extremes(
        {
            "client_id": clients[0],
            "mailing_id": mailing,
            "message_id": message.message_id,
            "about": mailing,
            "import_id": _import(api),
            "username": LONGEST_USERNAME,
            "token_id": token_id,
            "template_id": template,
            "segment_id": of_rows,
            "levels_id": of_levels,
        }
    )


def _tags() -> list[str]:
    mixed = f"{HEBREW} \N{PARTY POPPER} <b>&amp; "  # invisible characters, which join emoji, are in no tag
    return [WIDE[:MAX_TAG_LENGTH], (mixed * 9)[:MAX_TAG_LENGTH].strip()]


def _wide_and_mixed(length: int) -> str:
    return (WIDE[: length // 2] + MIXED * 100)[:length]


def _clients(api: ApiCaller) -> list[str]:
    facts = {"timezone": LONGEST_ZONE, "language": LANGUAGES[0], "attributes": {ATTRIBUTE: WIDE[:200]}}
    bodies = [
        {"phone_number": f"+431555000000{number:03d}", "tag": tag, "opted_out": number > 5, **facts}
        for number, tag in enumerate(_tags() * 4)
    ]
    return [api.call("POST", "/api/clients", body)["id"] for body in bodies]


def _templates(api: ApiCaller) -> str:
    """Two templates; the one with the longest texts was renamed once."""
    personal = f"{{{{{ATTRIBUTE}|{WIDE[:100]}}}}} {MIXED * 9}"
    texts = dict.fromkeys(LANGUAGES, _wide_and_mixed(MAX_TEXT_LENGTH)) | {LANGUAGES[0]: personal}
    wide, mixed = _tags()
    api.call("POST", "/api/templates", {"name": mixed[:-1], "text": personal})
    made = api.call("POST", "/api/templates", {"name": mixed, "text": WIDE[:MAX_TEXT_LENGTH]})
    newer = {"name": wide, "text": _wide_and_mixed(MAX_TEXT_LENGTH), "texts": texts, "version": made["version"]}
    return str(api.call("PUT", f"/api/templates/{made['id']}", newer)["id"])


def _conditions(mailing: str) -> list[dict[str, Any]]:
    """As many conditions as a form has rows for; the clients meet the first one."""
    named = {"attribute": ATTRIBUTE}
    return [
        {**named, "exists": True},
        {**named, "begins_with": WIDE[:500]},
        {**named, "one_of": [WIDE[:200], MIXED.strip()]},
        {**named, "between": [{"today": -36_525}, {"today": 0}]},
        {"not": {"tag": _tags()}},
        {"tag": _tags()},
        {"language": LANGUAGES},
        {"timezone": [LONGEST_ZONE]},
        {"mailing": mailing, "status": ["sent"]},
        {"not": {"mailing": mailing}},
    ]


def _segment(api: ApiCaller, name: str, clients: dict[str, Any]) -> str:
    return str(api.call("POST", "/api/segments", {"name": name, "clients": clients})["id"])


def _mailing(api: ApiCaller, segment: dict[str, Any], *, starts_in: int = 0, **text: object) -> str:
    starts = datetime.now(UTC) + timedelta(days=starts_in)
    times = {"start_time": starts.isoformat(), "end_time": (starts + timedelta(days=400)).isoformat()}
    return str(api.call("POST", "/api/mailing", {**text, "clients": segment, **times})["id"])


def give_up(services: Services, mailing_id: str, causes: Sequence[Cause]) -> list[Message]:
    """Make sent messages of a mailing failed ones, one for each cause, each with a dead letter."""
    rows, _ = services.messages.list(mailing_id, MessageStatus.SENT, "", len(causes))
    ledger = services.delivery._outcomes._ledger
    for row, cause in zip(rows, causes, strict=True):
        tried = replace(row.attempts[-1], cause=cause)
        failed = row.revised(services.clock.now(), status=MessageStatus.FAILED, cause=cause, attempts=(tried,) * 8)
        assert ledger.update([(row, failed)])
        services.queues["send-dead"].send([Hint.of(row.key).body(reason=str(cause))])
    return rows


def _settings(api: ApiCaller) -> None:
    api.call("PATCH", "/api/gateway", {"rate": 10_000})
    api.call("POST", "/api/gateway/hold", {"reason": (MIXED * 20)[:MAX_REASON].strip()})
    api.call("POST", "/api/gateway/close", {"reason": WIDE[:MAX_REASON]})
    api.call("PATCH", "/api/gateway", {"rate": None})


def _import(api: ApiCaller) -> str:
    """An import whose rows are all rejected. Another one waits to be started, which takes the most words to say."""
    bad = "\n".join(f"{WIDE[:190]},{MIXED * 3}" for _ in range(5))
    for hold, rows in (("true", "+79160000001,vip"), ("false", bad)):
        answer = api.request(
            "POST",
            "/api/clients/imports",
            params={"hold": hold},
            data=f"phone_number,tag\n{rows}\n".encode(),
            headers={"Content-Type": "text/csv"},
        )
        assert answer.ok, answer.text
    return str(answer.json()["id"])
