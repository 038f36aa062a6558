"""What somebody was writing when their session ended: it goes through the form to sign in, and is shown again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from . import forms
from .forms import Form

NAME, PASSWORD = "sign-in-username", "sign-in-password"


def kept(form: Form) -> Mapping[str, list[str]]:
    """What is kept of a form: neither passwords, nor what belongs to its session."""
    gone = (forms.CSRF_FIELD, NAME)
    return {name: values for name, values in form.values.items() if name not in gone and "password" not in name}


def shown_again(form: Form, problem: str) -> Form:
    """The form with what was written, and why nothing was done with it."""
    return replace(form, values=kept(form), problem=problem)
