"""Pages from functions: checks session, role and CSRF, reads forms, and turns errors into pages."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any
from urllib.parse import quote

from chalice.app import Blueprint, Response
from chalice.app import Request as ChaliceRequest
from pydantic import BaseModel

from .. import bootstrap
from ..domain.errors import Forbidden, NotFound, ServiceError, Unauthenticated
from ..domain.faults import Fault
from ..observability import logger, name_user
from ..web import parsing, problems
from ..web.instrumentation import served
from ..web.request import Text
from . import forms, kept_forms, languages, page_request, rendering, sessions, texts
from .page_request import PageRequest
from .routing import Handler, Headers, Page, Pages, Redirect, Route, no_such_page
from .texts import _

HTML = "text/html; charset=utf-8"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
_PAGE_HEADERS = {"Content-Type": HTML, "Cache-Control": "no-store", "Content-Security-Policy": POLICY}


def blueprint_of(pages: Pages) -> Blueprint:
    """The routes of a resource for Chalice."""
    blueprint = Blueprint(__name__)
    shown = {route.path for route in pages.routes if route.method == "GET"}
    # The address of a change stays in the browser if the change fails, so opening it again must give a page.
    missing = [
        replace(route, method="GET", handler=no_such_page, roles=None)
        for route in pages.routes
        if route.path not in shown
    ]
    for route in [*pages.routes, *missing]:
        register = blueprint.route(route.path, methods=[route.method], content_types=["*/*"])
        register(_view(route, blueprint))
    return blueprint


def _view(route: Route, blueprint: Blueprint) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        raw = blueprint.current_request
        return served(raw, route.path, lambda: _answer(route, raw, path))

    view.__name__ = route.handler.__name__
    view.__doc__ = inspect.getdoc(route.handler)
    return view


def _answer(route: Route, raw: ChaliceRequest, path: dict[str, str]) -> Response:
    request = page_request.begin(raw, bootstrap.get_services())
    with languages.speaking(request.language):
        try:
            if (known := _identified(route, request)) is None:
                return _response(*_unknown(route, request, path))
            request = known  # so that a refusal is shown as their page too
            _check_role(route, request)
            return _response(request, _outcome(route, request, path))
        except Exception as error:  # the boundary of a request
            return _response(request, _refusal(route, error))


def _identified(route: Route, request: PageRequest) -> PageRequest | None:
    """The request with its session, if any; None if the page needs one."""
    session = sessions.find(request, request.cookies.get(sessions.COOKIE, ""))
    if session is None:
        if route.roles is None:
            return request
        return None
    name_user(session.principal.username)
    return request.signed_in(session)


def _unknown(route: Route, request: PageRequest, path: dict[str, str]) -> tuple[PageRequest, Page | Redirect]:
    """The answer to a request without a session: the form to sign in, with the written values if it sent a form.

    After signing in the form is shown again but not sent, because another person may have written it. A request for a
    part of a page does not lead there, so that a form being written in the page stays.
    """
    if request.partial and route.consumes == forms.FORM:
        return request, Page("ended.html", status=401, headers={"HX-Trigger": "session-ended"})
    if route.method == "GET" or route.shows is None or route.consumes != forms.FORM:
        return request, _to_sign_in(request)
    sessions.check_origin(request)
    form = forms.read(request.body)
    if not (values := kept_forms.kept(form)):
        return request, _to_sign_in(request)
    again = {"kept": [(name, one) for name, given in values.items() for one in given], "next": ""}
    if kept_forms.NAME not in form.values:
        return request, Page("login.html", again, status=401)
    try:
        session, cookie = sessions.begin(request, form.text(kept_forms.NAME), form.raw(kept_forms.PASSWORD))
    except ServiceError as error:
        told_form = replace(form, problem=told(error))
        status = int(problems.problem_type(error).status)
        return request, Page("login.html", {**again, "form": told_form}, status=status)
    request = request.signed_in(session)
    _check_role(route, request)
    page = _again(route, request.with_form(form), path, _("You are signed in again. Nothing was saved or sent yet."))
    return request, replace(page, headers={**page.headers, "Set-Cookie": cookie}) if page else _to_sign_in(request)


def _again(route: Route, request: PageRequest, path: dict[str, str], problem: str) -> Page | None:
    """The page of a form with its values, instead of carrying it out; None if there is no such page."""
    form = kept_forms.shown_again(request.form, problem)
    if route.shows is None or not form.values or request.partial:
        return None
    try:
        page = _called(route.shows, request.with_form(form), path)
    except ServiceError:
        return None
    return replace(page, values={**page.values, "form": form}) if isinstance(page, Page) else None


def _check_role(route: Route, request: PageRequest) -> None:
    if route.roles is not None and request.principal.role not in route.roles:
        raise Forbidden(Fault.AS_TOLD, text=_("Your role does not allow this."))


def _outcome(route: Route, request: PageRequest, path: dict[str, str]) -> Page | Redirect | Text:
    result: Page | Redirect | Text
    if route.method == "GET":
        result = _called(route.handler, request, path)
        return result
    request = _read(route, request)
    # Public actions need no CSRF token: signing in, which the check of the origin protects, and choosing a language.
    if request.session is not None and route.roles is not None:
        token = request.header(sessions.CSRF_HEADER) or request.form.raw(forms.CSRF_FIELD)
        try:
            sessions.check_csrf(request.session, token)
        except Forbidden:
            problem = _(
                "You signed in again after this page was opened. Nothing was saved or sent: check it, and try again."
            )
            if page := _again(route, request, path, problem):
                return replace(page, status=403)
            raise
    try:
        result = _called(route.handler, request, path)
    except (NotFound, Forbidden):
        raise
    except ServiceError as error:
        if route.shows is None:
            raise
        kind = problems.problem_type(error)
        form = request.form.refused(error, told(error))
        result = _called(route.shows, request.with_form(form), path)
        if isinstance(result, Page):
            result = replace(result, status=int(kind.status), values={**result.values, "form": form})
    return result


def _called(handler: Handler, request: PageRequest, path: dict[str, str]) -> Any:
    query_type = _query_type(handler)
    if query_type is None:
        return handler(request, **path)
    return handler(request, query=parsing.read_query(query_type, request.query_values), **path)


@cache
def _query_type(handler: Handler) -> type[BaseModel] | None:
    return typing.get_type_hints(handler).get("query")


def _read(route: Route, request: PageRequest) -> PageRequest:
    """The request with its form, after checking that our own page sent it."""
    sessions.check_origin(request)
    parsing.check_content_type(request.header("content-type") or forms.FORM, route.consumes)
    if route.consumes == forms.FORM:
        request = request.with_form(forms.read(request.body))
    elif route.consumes == parsing.BYTES:
        if len(request.body) > route.max_bytes:
            raise problems.TooLarge(Fault.BODY_TOO_LARGE, bytes=len(request.body), limit=route.max_bytes)
    else:
        request = replace(
            request, file=parsing.read_file(request.body, route.max_bytes, request.header("content-type") or "")
        )
    return request


def told(error: Exception) -> str:
    """The text of an error for people; without details of unexpected errors, or why a part is down."""
    kind = problems.problem_type(error)
    if kind.status < 500 and isinstance(error, ServiceError):
        return texts.told(error)
    return texts.of_problems(kind.meaning)


def _to_sign_in(request: PageRequest) -> Redirect:
    here = request.path
    back = f"?next={quote(here)}" if request.method == "GET" and not request.partial else ""
    return Redirect(f"/admin/login{back}")


def _refusal(route: Route, error: Exception) -> Page:
    kind = problems.problem_type(error)
    status = int(kind.status)
    if status >= 500:
        logger.exception("page failed", route=route.path, method=route.method, status=status)
    headers = problems.answer_for(error).headers
    del headers["Content-Type"]
    if isinstance(error, Unauthenticated):
        del headers["WWW-Authenticate"]  # otherwise browsers would ask for a password themselves
    return Page("error.html", {"heading": texts.of_problems(kind.title), "detail": told(error)}, status, headers)


def _response(request: PageRequest, result: Page | Redirect | Text) -> Response:
    if isinstance(result, Text):
        text_headers: Headers = {"Cache-Control": "no-store", **_HEADERS, "Content-Type": result.media_type}
        return Response(body=result.body, headers={**text_headers, **result.headers}, status_code=200)
    if isinstance(result, Redirect):
        return _redirected(request, result)
    headers: Headers = {**_HEADERS, **_PAGE_HEADERS, **result.headers}
    if request.flash and not request.partial:
        headers["Set-Cookie"] = [sessions.cookie(request, page_request.FLASH, "", max_age=0)]
    body = rendering.render(result.template, request, result.values)
    return Response(body=body, headers=headers, status_code=result.status)


def _redirected(request: PageRequest, result: Redirect) -> Response:
    place = request.link(result.path)
    cookies = list(result.cookies)
    if result.flash:
        cookies.append(sessions.cookie(request, page_request.FLASH, page_request.flash_value(result.flash), max_age=60))
    headers: Headers = {**_HEADERS, "Cache-Control": "no-store", "Content-Type": HTML}
    if cookies:
        headers["Set-Cookie"] = cookies
    # htmx follows redirects itself and would put the whole page in the place of a part.
    if request.partial:
        return Response(body="", headers={**headers, "HX-Redirect": place}, status_code=200)
    return Response(body="", headers={**headers, "Location": place}, status_code=303)
