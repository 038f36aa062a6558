"""Several gateways and their routes, from the JSON of GATEWAYS."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ..config import Settings
from ..domain.gateway_routes import GatewayRoutes, Route, internal
from ..setting_checks import check_gateway_url
from .base import Gateway

MOST = 16  # gateways
_MAX_BYTES = 20_000
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,19}$")]
_Plain = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,200}$")]
_Weight = Annotated[int, Field(ge=1, le=1000, strict=True)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OneGateway(_Part):
    """A gateway. Each field but `name` is what a setting says if there is one gateway."""

    name: Name
    kind: Literal["declared", "eum", "http", "sandbox"]
    url: str = ""
    declaration: str = ""
    account: _Plain | Literal[""] = ""
    sender: _Plain | Literal[""] = ""
    message_type: Literal["TRANSACTIONAL", "PROMOTIONAL"] = "TRANSACTIONAL"
    configuration_set: _Plain | Literal[""] = ""
    max_price: Annotated[str, StringConstraints(pattern=r"^([0-9]{1,2}\.[0-9]{1,5})?$")] = ""
    recognises_ids: bool = False
    concurrency: Annotated[int, Field(ge=0, le=1000, strict=True)] = 0  # 0 for GATEWAY_CONCURRENCY

    def settings(self, all_settings: Settings) -> Settings:
        """The settings for this gateway's kind. Its token is the one with its name."""
        return replace(
            all_settings,
            gateway=self.kind,
            gateway_name=self.name,
            gateway_url=self.url,
            gateway_declaration=self.declaration,
            gateway_account=self.account,
            gateway_sender=self.sender,
            gateway_message_type=self.message_type,
            gateway_configuration_set=self.configuration_set,
            gateway_max_price=self.max_price,
            gateway_recognises_ids=self.recognises_ids,
            gateway_concurrency=self.concurrency or all_settings.gateway_concurrency,
        )


class OneRoute(_Part):
    """The gateways for numbers that begin with `prefix`, each with its weight."""

    prefix: Annotated[str, StringConstraints(pattern=r"^(\+[1-9][0-9]{0,14})?$")] = ""
    to: Annotated[dict[Name, _Weight], Field(min_length=1, max_length=MOST)]


class SeveralGateways(_Part):
    """All gateways and routes. Without routes all numbers go to all gateways, equally often."""

    gateways: Annotated[tuple[OneGateway, ...], Field(min_length=1, max_length=MOST)]
    routes: Annotated[tuple[OneRoute, ...], Field(max_length=500)] = ()

    @classmethod
    def parse(cls, text: str) -> SeveralGateways:
        """The gateways in this JSON. Raises ValueError with the path to what is wrong."""
        if len(text.encode()) > _MAX_BYTES:
            raise ValueError(f"GATEWAYS: must have at most {_MAX_BYTES} bytes")
        try:
            found = cls.model_validate(json.loads(text))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            way = ".".join(str(part) for part in first["loc"]) or "it"
            raise ValueError(f"GATEWAYS: {way}: {first['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise ValueError(f"GATEWAYS: is not JSON: {error}") from error
        if fault := found._fault():
            raise ValueError(f"GATEWAYS: {fault}")
        return found

    def _fault(self) -> str:
        names = [one.name for one in self.gateways]
        for place, one in enumerate(self.gateways):
            if names.index(one.name) != place:
                return f"gateways.{place}.name: {one.name!r} is there twice"
            if one.url:
                try:
                    check_gateway_url(one.url)
                except ValueError as error:
                    return f"gateways.{place}.url: {str(error).removeprefix('GATEWAY_URL: ')}"
            elif one.kind == "http":
                return f"gateways.{place}.url: must be set"
        prefixes = [route.prefix for route in self.routes]
        for place, route in enumerate(self.routes):
            if prefixes.index(route.prefix) != place:
                return f"routes.{place}.prefix: {route.prefix!r} is there twice"
            if strange := [name for name in route.to if name not in names]:
                return f"routes.{place}.to.{strange[0]}: there is no such gateway"
        if self.routes and "" not in prefixes:
            return 'routes: one must be for all other numbers, without a "prefix"'
        return ""

    def table(self) -> GatewayRoutes:
        """Its routes."""
        routes = [
            Route(one.prefix, tuple((internal(name), weight) for name, weight in one.to.items())) for one in self.routes
        ]
        everywhere = Route("", tuple((internal(one.name), 1) for one in self.gateways))
        return GatewayRoutes.of(routes or [everywhere])


def concurrencies(settings: Settings) -> dict[str, int]:
    """How many calls a sender may make of each gateway at the same time, 0 for GATEWAY_CONCURRENCY."""
    return {internal(one.name): one.concurrency for one in SeveralGateways.parse(settings.gateways).gateways}


def create_several(settings: Settings) -> tuple[dict[str, Gateway], GatewayRoutes]:
    """The gateways in GATEWAYS by name, and their routes. Raises ValueError with the path to what is wrong."""
    from . import create_gateway

    told = SeveralGateways.parse(settings.gateways)
    made: dict[str, Gateway] = {}
    for place, one in enumerate(told.gateways):
        try:
            made[internal(one.name)] = create_gateway(one.settings(settings))
        except ValueError as error:
            raise ValueError(f"GATEWAYS: gateways.{place}: {error}") from error
    return made, told.table()
