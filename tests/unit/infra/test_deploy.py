"""What `make deploy` refuses before it changes anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.deploy import DeployError, Options, check_gateway

KNOWN = {"GatewayUrl": "https://gateway.example/sms", "GatewayHosts": "gateway.example,other.example"}


def check(known: dict[str, str], **environ: str) -> None:
    check_gateway(Options("dev", Path("dist"), True, environ), known)


@pytest.mark.parametrize(
    ("known", "environ"),
    [
        ({}, {}),
        ({}, {"GATEWAY_URL": "sandbox:"}),
        ({}, {"GATEWAY_URL": "https://gateway.example", "GATEWAY_HOSTS": "gateway.example"}),
        (KNOWN, {}),
        (KNOWN, {"GATEWAY_URL": "https://other.example"}),
        (KNOWN, {"GATEWAY_URL": "https://new.example", "GATEWAY_HOSTS": "new.example"}),
    ],
)
def test_a_gateway_of_the_list_may_be_deployed(known: dict[str, str], environ: dict[str, str]) -> None:
    """What is not given is what the stack has."""
    check(known, **environ)


@pytest.mark.parametrize(
    ("known", "environ"),
    [
        ({}, {"GATEWAY_URL": "https://gateway.example"}),
        (KNOWN, {"GATEWAY_URL": "https://new.example"}),
        (KNOWN, {"GATEWAY_HOSTS": "other.example"}),
        ({}, {"GATEWAY_URL": "http://gateway.example", "GATEWAY_HOSTS": "gateway.example"}),
    ],
)
def test_a_gateway_that_no_sender_would_call_is_refused(known: dict[str, str], environ: dict[str, str]) -> None:
    """With the variable's name and the reason."""
    with pytest.raises(DeployError, match=r"^GATEWAY_URL: the gateway's "):
        check(known, **environ)
