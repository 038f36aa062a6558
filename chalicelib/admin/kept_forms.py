"""Forms that were being written when a session ended: the sign-in form keeps them, so that they are shown again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from . import forms
from .forms import Form

NAME, PASSWORD = "sign-in-username", "sign-in-password"


def kept(form: Form) -> Mapping[str, list[str]]:
    """The values to keep of a form: no passwords, and nothing that belongs to the session."""
    gone = (forms.CSRF_FIELD, NAME)
    return {name: values for name, values in form.values.items() if name not in gone and "password" not in name}


def shown_again(form: Form, problem: str) -> Form:
    """The form with the kept values, and why it was not carried out."""
    return replace(form, values=kept(form), problem=problem)
