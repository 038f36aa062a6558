"""The REST API in front of workers that really dispatch and send, on the simulation's virtual clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from app import app
from chalicelib import bootstrap
from chalicelib.domain.messages import Outcome
from chalicelib.domain.reasons import Cause
from chalicelib.domain.users import Role
from chalicelib.gateways.base import Answer
from chalicelib.services.users import UserService
from infra.local.api_gateway import HttpFront
from tests.factories import ClientBodyFactory, MailingBodyFactory
from tests.support.api import PASSWORD, Api, quick_passwords
from tests.support.kept_state import set_up
from tests.support.simulation import Simulation, new_simulation

BROKEN = Answer(Outcome.FAILED, Cause.http(500), 500)
OK = Answer(Outcome.ACCEPTED)


@dataclass
class Campaign:
    """The API for requests, the simulation for what happens meanwhile."""

    api: Api
    simulation: Simulation

    def add_clients(self, count: int, **fields: object) -> list[str]:
        """Create clients by requests. Returns their ids."""
        bodies = [ClientBodyFactory(**fields) for _ in range(count)]
        return [self.api.post("/api/clients", body).json["id"] for body in bodies]

    def order(self, **fields: object) -> str:
        """Create a mailing by a request. Returns its id."""
        reply = self.api.post("/api/mailing", MailingBodyFactory(**fields))
        assert reply.status == 201, reply.text
        return str(reply.json["id"])

    def finish(self, mailing_id: str, limit: float = 3600) -> None:
        """Let the workers work until a mailing has ended; fails after so many seconds of virtual time."""
        self.simulation.run_until_finished(self.simulation.services.mailings.get(mailing_id), limit)

    def send(self, count: int = 1, **fields: object) -> str:
        """Send a mailing to so many new clients and finish it. Returns its id."""
        self.add_clients(count)
        mailing_id = self.order(**fields)
        self.finish(mailing_id)
        return mailing_id

    def give_up(self, count: int, **fields: object) -> str:
        """Finish a mailing of which so many messages failed and five were sent. Returns its id."""
        doomed: set[int] = set()

        def script(gateway_id: int, nth: int) -> Answer:
            if len(doomed) < count:
                doomed.add(gateway_id)
            return BROKEN if gateway_id in doomed else OK

        self.simulation.gateway.script = script
        mailing_id = self.send(count + 5, **fields)
        self.simulation.gateway.script = lambda gateway_id, nth: OK
        return mailing_id


def _admin(users: UserService) -> str:
    """Create the admin. Returns a token."""
    users.create("admin", PASSWORD, Role.ADMIN)
    return users.issue_token("admin", PASSWORD, "test").secret


@contextmanager
def new_campaign(**settings: Any) -> Iterator[Campaign]:
    """An empty service, called as its admin."""
    with new_simulation(max_attempts=3, **settings) as simulation, quick_passwords():
        assert simulation.services is not None
        with mock.patch.object(bootstrap, "get_services", return_value=simulation.services):
            api = Api(
                HttpFront(app, simulation.clock, "us-east-1"),
                simulation.services,
                simulation.clock,
                simulation.aws,
                simulation.sqs,
            )
            users = simulation.services.users
            api.token = set_up(("campaign", simulation.settings.resource_prefix), lambda: _admin(users))
            yield Campaign(api, simulation)
