"""The external services that send messages: one file each, all behind `base.Gateway`."""

from __future__ import annotations

from collections.abc import Callable

from ..config import Settings
from .base import Gateway
from .http import HttpGateway
from .sandbox import SandboxGateway


def _declared(settings: Settings) -> Gateway:
    from .declared import DeclaredGateway  # imports Pydantic, which a sender does not need otherwise

    return DeclaredGateway(settings)


def _eum(settings: Settings) -> Gateway:
    from .eum import EumGateway

    return EumGateway(settings)


# By the value of GATEWAY.
GATEWAYS: dict[str, Callable[[Settings], Gateway]] = {
    "declared": _declared,
    "eum": _eum,
    "http": HttpGateway,
    "sandbox": SandboxGateway,
}


def check_kind(settings: Settings) -> None:
    """Raises ValueError, with the variable's name, if there is no such kind of gateway, or one of several is wrong."""
    if settings.gateways and not settings.gateway_name:
        from .several import create_several

        create_several(settings)
    if settings.gateway not in GATEWAYS:
        raise ValueError(f"GATEWAY: must be one of {', '.join(GATEWAYS)}: {settings.gateway!r}")


def create_gateway(settings: Settings) -> Gateway:
    """The gateway that the settings name. Raises ValueError if there is no such kind."""
    check_kind(settings)
    return GATEWAYS[settings.gateway](settings)
