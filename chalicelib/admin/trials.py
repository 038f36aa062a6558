"""Test messages: a mailing's text, sent to one number."""

from __future__ import annotations

import secrets

from ..domain.errors import Invalid, ServiceError
from ..services.trials import Trial
from ..web.bodies import TrialBody
from . import mailing_form
from .page_request import PageRequest
from .routing import Page, Pages
from .texts import told, wrong

pages = Pages()


@pages.post("/admin/mailings/test")
def send_test(request: PageRequest) -> Page:
    """Send the text in the form to a number, as its owner would get it, and show the result."""
    trial, text, problem, key = None, "", "", request.form.text("test_key")
    try:
        trial, text = _sent(request, key)
    except Invalid as error:
        problem = wrong(error.errors[0])
    except ServiceError as error:
        problem = told(error)
    # If nothing was sent, the key stays the same, so that pressing the button twice sends one message.
    return Page(
        "mailings/test.html",
        {
            "trial": trial,
            "text": text,
            "problem": problem,
            "key": secrets.token_urlsafe(16) if trial or not key else key,
        },
    )


def _sent(request: PageRequest, key: str) -> tuple[Trial, str]:
    """The result, and the text that was sent."""
    entered = mailing_form.read(request.form, request.zone_name)
    if errors := [one for one in entered.errors if one.field in ("text", "texts")]:
        raise Invalid(*errors)
    fields = entered.sound(request.now)
    number = request.form.text("test_number")
    text = request.services.previews.text_for_number(fields, number)
    gateway = fields.gateway or None
    body = request.form.into(TrialBody, {"phone_number": number, "text": text, "gateway": gateway})
    username = request.principal.username
    trial = request.services.trials().send(body.phone_number, body.text, username, key or None, body.gateway)
    return trial, body.text
