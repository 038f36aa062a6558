"""/api/mailing/{id}/launch and its like: what is done with a mailing."""

from __future__ import annotations

from pydantic import StrictBool

from ..domain.errors import Conflict, NotFound
from ..web.fields import Body, example
from ..web.request import Request
from .mailings import MailingView, view_of
from .routing import Routes

routes = Routes("mailing")
_ERRORS = (NotFound, Conflict)


class RetryBody(Body):
    """What is tried again: failed messages, and with `unknown` those whose outcome is not known."""

    model_config = example({"unknown": False})

    unknown: StrictBool = False


@routes.route("POST", "/api/mailing/{mailing_id}/launch", errors=_ERRORS)
def launch_mailing(request: Request, mailing_id: str) -> MailingView:
    """Start a scheduled mailing now, before its `start_time`."""
    return view_of(request.services, request.services.mailings.launch(mailing_id))


@routes.route("POST", "/api/mailing/{mailing_id}/pause", errors=_ERRORS)
def pause_mailing(request: Request, mailing_id: str) -> MailingView:
    """Stop a mailing until it is resumed. No message leaves later than 2 seconds after the answer."""
    return view_of(request.services, request.services.mailings.pause(mailing_id))


@routes.route("POST", "/api/mailing/{mailing_id}/resume", errors=_ERRORS)
def resume_mailing(request: Request, mailing_id: str) -> MailingView:
    """Go on with a paused mailing where it was."""
    return view_of(request.services, request.services.mailings.resume(mailing_id))


@routes.route("POST", "/api/mailing/{mailing_id}/cancel", errors=_ERRORS)
def cancel_mailing(request: Request, mailing_id: str) -> MailingView:
    """Stop a mailing for good: what was not sent becomes cancelled. What has ended stays as it is, also if it was about
    to be put back by a retry."""
    return view_of(request.services, request.services.mailings.cancel(mailing_id))


@routes.route("POST", "/api/mailing/{mailing_id}/retry", errors=_ERRORS)
def retry_mailing(request: Request, mailing_id: str, body: RetryBody) -> MailingView:
    """Try the failed messages of a finished mailing again, while its window is open, and nothing else.

    If its `end_time` was moved to a later one after it had begun, messages that expired by the earlier one and can be
    sent now come back too.
    """
    return view_of(request.services, request.services.mailings.retry_failed(mailing_id, unknown=body.unknown))
