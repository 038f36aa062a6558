"""/api/mailing/{id}/launch and so on: the actions on a mailing."""

from __future__ import annotations

from dataclasses import replace

from pydantic import StrictBool

from ..domain.errors import Conflict, NotFound
from ..domain.faults import Fault
from ..services.mailing_fields import MailingFields, missed_by
from ..web.bodies import EndTime, StartTime
from ..web.fields import Body, example
from ..web.request import Request
from .mailings import IDEMPOTENCY_KEY, MailingView, created, view_of
from .routing import Created, Routes

routes = Routes("mailing")
_ERRORS = (NotFound, Conflict)


class RetryBody(Body):
    """What to retry: failed messages, and with `unknown` also those with an unknown outcome."""

    model_config = example({"unknown": False})

    unknown: StrictBool = False


class MissedBody(Body):
    """When a mailing to those who got nothing is sent: from `start_time`, right away if that has passed, to `end_time`.

    With `unknown` it also goes to those whose messages have an unknown outcome; they may get both.
    """

    model_config = example({"start_time": "2099-03-02T09:00:00+03:00", "end_time": "2099-03-02T18:00:00+03:00"})

    start_time: StartTime
    end_time: EndTime
    unknown: StrictBool = False


@routes.route("POST", "/api/mailing/{mailing_id}/missed", reads=(IDEMPOTENCY_KEY,), errors=_ERRORS)
def create_mailing_to_missed(request: Request, mailing_id: str, body: MissedBody) -> Created[MailingView]:
    """Create a copy of an ended mailing for exactly the people whom it did not reach: their messages failed, expired or
    were cancelled. `Idempotency-Key` works as it does for other mailings.
    """
    ended = request.services.mailings.get(mailing_id)
    if not ended.status.ended:
        raise Conflict(Fault.MAILING_NOT_ENDED, status=ended.status)
    fields = replace(
        MailingFields.of(ended),
        segment=missed_by(ended, unknown=body.unknown),
        start_at=body.start_time,
        end_at=body.end_time,
    )
    return created(request, fields, f"{mailing_id} {body.content()}")


@routes.route("POST", "/api/mailing/{mailing_id}/schedule", errors=_ERRORS)
def schedule_mailing(request: Request, mailing_id: str) -> MailingView:
    """Schedule a draft: it starts automatically at its `start_time`, or right away if that has passed."""
    return view_of(request.services, request.services.mailing_actions.schedule(mailing_id))


@routes.route("POST", "/api/mailing/{mailing_id}/launch", errors=_ERRORS)
def launch_mailing(request: Request, mailing_id: str) -> MailingView:
    """Start a scheduled mailing or a draft now, before its `start_time`."""
    return view_of(request.services, request.services.mailing_actions.launch(mailing_id))


@routes.route("POST", "/api/mailing/{mailing_id}/pause", errors=_ERRORS)
def pause_mailing(request: Request, mailing_id: str) -> MailingView:
    """Pause a mailing until it is resumed. The last message leaves at most 2 seconds after the answer."""
    return view_of(request.services, request.services.mailing_actions.pause(mailing_id))


@routes.route("POST", "/api/mailing/{mailing_id}/resume", errors=_ERRORS)
def resume_mailing(request: Request, mailing_id: str) -> MailingView:
    """Resume a paused mailing where it stopped."""
    return view_of(request.services, request.services.mailing_actions.resume(mailing_id))


@routes.route("POST", "/api/mailing/{mailing_id}/cancel", errors=_ERRORS)
def cancel_mailing(request: Request, mailing_id: str) -> MailingView:
    """Cancel a mailing for good. Messages that were not sent become cancelled; messages that have ended stay as they
    are, even if a retry was about to send them again.
    """
    return view_of(request.services, request.services.mailing_actions.cancel(mailing_id))


@routes.route("POST", "/api/mailing/{mailing_id}/retry", errors=_ERRORS)
def retry_mailing(request: Request, mailing_id: str, body: RetryBody) -> MailingView:
    """Retry the failed messages of a finished mailing, as long as its `end_time` has not passed.

    If its `end_time` was set later after it had started, messages that expired before are sent too.
    """
    return view_of(request.services, request.services.mailing_actions.retry_failed(mailing_id, unknown=body.unknown))
