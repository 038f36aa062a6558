"""What can go wrong, as the services say it.

ServiceError
├── Malformed          the request cannot be read
├── Invalid            it can be read, and a value in it is not allowed
├── Unauthenticated    nobody is signed in
├── Forbidden          somebody is, who may not do this
├── NotFound           there is no such thing
├── Conflict           the thing is in a state, or exists already, so that this cannot be done
├── TooManyRequests    slow down
└── Unavailable        something behind the service does not answer
    └── NotReady       the same, found by looking, with its names
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; `field` is its path, such as `clients.tag`."""

    field: str
    message: str


class ServiceError(Exception):
    """The parent of every error that a service raises on purpose."""


class Malformed(ServiceError):
    """The request cannot be read."""


class Invalid(ServiceError):
    """Values that are not allowed, each with its field."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in errors))
        self.errors = errors

    @classmethod
    def of(cls, field: str, message: str) -> Invalid:
        """The error of a single field."""
        return cls(FieldError(field, message))


class Unauthenticated(ServiceError):
    """Nobody is signed in."""


class Forbidden(ServiceError):
    """The user may not do this."""


class NotFound(ServiceError):
    """There is no such thing."""


class Conflict(ServiceError):
    """The thing exists already, or is in a state that does not allow this."""


class TooManyRequests(ServiceError):
    """Too many tries; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(ServiceError):
    """A table or queue does not answer; try again."""


class NotReady(Unavailable):
    """Parts of the service that do not answer in time, by name."""

    def __init__(self, *parts: str) -> None:
        super().__init__(f"does not answer in time: {', '.join(parts)}")
        self.parts = parts
