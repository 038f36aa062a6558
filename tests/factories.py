"""Made-up clients, mailings and users, as the API takes them; every one is its own, and valid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import factory

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # where the tests' clocks begin


class ClientBodyFactory(factory.DictFactory):
    """A client to be created, with a number that no other has."""

    phone_number = factory.Sequence(lambda number: f"+7916{number:07d}")
    operator = "916"
    tag = "vip"
    timezone = "Europe/Moscow"


class MailingBodyFactory(factory.DictFactory):
    """A mailing to be ordered, whose window is open for an hour from now on."""

    class Params:
        starts_in = timedelta(0)
        lasts = timedelta(hours=1)

    text = factory.Sequence(lambda number: f"Hello {number}")
    clients = factory.LazyFunction(lambda: {"tag": "vip"})
    start_time = factory.LazyAttribute(lambda made: (START + made.starts_in).isoformat())
    end_time = factory.LazyAttribute(lambda made: (START + made.starts_in + made.lasts).isoformat())


class UserBodyFactory(factory.DictFactory):
    """An operator to be created."""

    username = factory.Sequence(lambda number: f"user{number}")
    password = factory.Sequence(lambda number: f"a long password {number}")
    role = "operator"
