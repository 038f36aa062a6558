"""The errors that services raise.

ServiceError
├── Malformed          the request cannot be read
├── Invalid            it can be read, and a value in it is not allowed
├── Unauthenticated    the caller is not signed in
├── Forbidden          the user may not do this
├── NotFound           it does not exist
├── Conflict           it exists already, or its state does not allow this
├── TooManyRequests    slow down
└── Unavailable        something behind the service does not answer
    └── NotReady       the same, with the names of what does not
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from .faults import Fault


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error of one field; `field` is its path, such as `clients.tag`."""

    field: str
    fault: Fault
    values: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def message(self) -> str:
        """The sentence, in English."""
        return self.fault.sentence(self.values)


class ServiceError(Exception):
    """The parent of every error that a service raises on purpose. str() is its sentence, in English."""

    def __init__(self, fault: Fault, **values: object) -> None:
        super().__init__(fault)
        self.fault = fault
        self.values = values

    def __str__(self) -> str:
        return self.fault.sentence(self.values)


class Malformed(ServiceError):
    """The request cannot be read."""


class Invalid(ServiceError):
    """Values that are not allowed, each with its field; the error itself is that of the first."""

    def __init__(self, *errors: FieldError) -> None:
        first = errors[0]
        super().__init__(first.fault, **first.values)
        self.errors = errors

    def __str__(self) -> str:
        return "; ".join(f"{error.field}: {error.message}" for error in self.errors)

    @classmethod
    def of(cls, field: str, fault: Fault, **values: object) -> Invalid:
        """The error of a single field."""
        return cls(FieldError(field, fault, values))


class Unauthenticated(ServiceError):
    """The caller is not signed in."""


class Forbidden(ServiceError):
    """The user may not do this."""


class NotFound(ServiceError):
    """It does not exist."""


class Conflict(ServiceError):
    """The thing exists already, or is in a state that does not allow this."""


class TooManyRequests(ServiceError):
    """Too many attempts; `retry_after` is in seconds."""

    def __init__(self, fault: Fault, retry_after: int) -> None:
        super().__init__(fault)
        self.retry_after = retry_after


class Unavailable(ServiceError):
    """A table or queue does not answer; the caller may try again. Only the log says which one."""

    def __init__(self, what: str) -> None:
        super().__init__(Fault.AS_TOLD, text=what)


class NotReady(Unavailable):
    """Parts of the service that do not answer in time, by name."""

    def __init__(self, *parts: str) -> None:
        super().__init__(f"no answer in time from: {', '.join(parts)}")
        self.parts = parts
