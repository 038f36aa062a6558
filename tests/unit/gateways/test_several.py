"""GATEWAYS: what it makes, and what is wrong with it, with the way to the fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib.config import Settings
from chalicelib.domain.gateway_routes import shown
from chalicelib.gateways.several import SeveralGateways, create_several
from chalicelib.gateways.tokens import GatewayToken

GOOD: dict[str, Any] = {
    "gateways": [
        {"name": "default", "kind": "http", "url": "https://one.example"},
        {"name": "twilio", "kind": "declared", "declaration": "twilio", "account": "AC1", "sender": "+15005550006"},
        {"name": "aws", "kind": "eum", "sender": "ACME"},
        {"name": "none", "kind": "sandbox"},
    ],
    "routes": [{"prefix": "+7", "to": {"default": 1}}, {"to": {"twilio": 3, "aws": 1}}],
}


def test_each_is_made_of_its_kind() -> None:
    """Expects the one called default to be the one that rows do not name, and its own token for each."""
    tokens = {"default": "t1", "twilio": "t2"}
    made, routes = create_several(Settings(gateways=json.dumps(GOOD), gateway_token=json.dumps(tokens)))
    assert list(made) == ["", "twilio", "aws", "none"]
    assert routes.order("m", "+79161234567") == ("",)
    assert {type(one).__name__ for one in made.values()} == {
        "HttpGateway",
        "DeclaredGateway",
        "EumGateway",
        "SandboxGateway",
    }
    assert [shown(name) for name in made] == ["default", "twilio", "aws", "none"]
    for name, wanted in (("default", "t1"), ("twilio", "t2"), ("aws", "")):
        assert GatewayToken(Settings(gateway_name=name, gateway_token=json.dumps(tokens))).get() == wanted


def test_without_routes_all_go_to_all() -> None:
    """Each as many as the others."""
    table = SeveralGateways.parse(json.dumps({"gateways": GOOD["gateways"][:2]})).table()
    assert set(table.order("m", "+1")) == {"", "twilio"}


@pytest.mark.parametrize(
    ("way", "value", "fault"),
    [
        (("gateways",), [], "gateways: Tuple should have at least 1 item"),
        (("gateways", 0, "kind"), "smoke", "gateways.0.kind: "),
        (("gateways", 1, "name"), "Twilio", "gateways.1.name: "),
        (("gateways", 1, "name"), "aws", "gateways.2.name: 'aws' is there twice"),
        (("gateways", 0, "url"), "", "gateways.0.url: must be set"),
        (("gateways", 0, "url"), "ftp://one.example", "gateways.0.url: must begin with"),
        (("gateways", 1, "declaration"), "twillio", "gateways.1: GATEWAY_DECLARATION: must be JSON, or one of"),
        (("gateways", 1, "colour"), "red", "gateways.1.colour: "),
        (("routes", 0, "to"), {"nobody": 1}, "routes.0.to.nobody: there is no such gateway"),
        (("routes", 0, "to"), {"aws": 0}, "routes.0.to.aws: "),
        (("routes", 0, "prefix"), "7", "routes.0.prefix: "),
        (("routes", 0, "prefix"), "", "routes.1.prefix: '' is there twice"),
        (("routes", 1, "prefix"), "+1", "routes: one must be for all other numbers"),
    ],
)
def test_an_error_is_reported_with_its_path(way: tuple[str | int, ...], value: object, fault: str) -> None:
    """Expects a sentence at the start, not a sender that fails later."""
    told = json.loads(json.dumps(GOOD))
    place = told
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value
    with pytest.raises(ValueError, match="GATEWAYS: ") as raised:
        create_several(Settings(gateways=json.dumps(told)))
    assert fault in str(raised.value)


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"a":' * 30_000])
def test_invalid_json_is_refused(text: str) -> None:
    """Whatever it is."""
    with pytest.raises(ValueError, match="GATEWAYS: "):
        SeveralGateways.parse(text)


def test_it_may_be_a_file(tmp_path: Path) -> None:
    """Expects its content; and a name that leads nowhere to be told."""
    file = tmp_path / "gateways.json"
    file.write_text(json.dumps(GOOD), encoding="utf-8")
    assert json.loads(Settings.from_environment({"GATEWAYS": str(file)}).gateways) == GOOD
    with pytest.raises(ValueError, match="GATEWAYS: not a json or file"):
        Settings.from_environment({"GATEWAYS": str(tmp_path / "none")})


def test_one_that_is_not_allowed_is_called_by_no_sender() -> None:
    """Expects the list of hosts to hold for each."""
    settings = Settings(gateways=json.dumps(GOOD), function_name="x-sender", gateway_hosts="two.example")
    made, _ = create_several(settings)
    assert getattr(made[""], "obstacle", None) is not None
    assert getattr(made["twilio"], "obstacle", None) is None
