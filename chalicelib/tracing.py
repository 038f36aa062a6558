"""Traces of X-Ray: which step of an invocation took how long. Off until `turn_on`, and nothing of it imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools.tracing import Tracer

_on = False
_NO_NAME = re.compile(r"[{}]|[^\w\s.:/%&#=+\\@-]")  # what X-Ray would take out of a step's name, and braces


class Step:
    """A step under way. Never a phone number, a text or a secret, as in the log."""

    def __init__(self, subsegment: Any = None) -> None:
        self._subsegment = subsegment

    def note(self, **annotations: str | int | None) -> None:
        """What the step can be found by, such as `mailing_id`; None is left out."""
        if self._subsegment is not None:
            for name, value in annotations.items():
                if value is not None:
                    self._subsegment.put_annotation(name, value)

    def fail(self) -> None:
        """Show the step as one that went wrong."""
        if self._subsegment is not None:
            self._subsegment.add_fault_flag()


_UNTRACED = Step()


def turn_on() -> None:
    """Trace from now on; only Lambda has somebody who listens."""
    global _on
    _on = True


@contextmanager
def traced(name: str, *, remote: bool = False, **annotations: str | int | None) -> Iterator[Step]:
    """A step of this invocation, `remote` if somebody else's service does it; in whichever thread it is."""
    if not _on:
        yield _UNTRACED
        return
    namespace = "remote" if remote else "local"
    with _tracer().provider.in_subsegment(_NO_NAME.sub("", name), namespace=namespace) as subsegment:
        step = Step(subsegment)
        step.note(**annotations)
        yield step


@lru_cache(maxsize=1)
def _tracer() -> Tracer:
    # Here, since it takes 80 ms to import. Calls of AWS become steps by themselves, with operation and table, and the
    # trace goes on through a queue.
    from aws_lambda_powertools.tracing import Tracer

    return Tracer(patch_modules=("botocore",))
