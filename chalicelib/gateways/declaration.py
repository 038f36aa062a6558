"""A gateway as data: how its requests look, and what its answers mean.

A declaration comes from an operator, so it is checked whole before it is used: what it says of answers is tried on its
own examples. What no rule knows is never taken for success.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ..domain.errors import FieldError, Invalid
from ..domain.faults import Fault
from ..domain.messages import Outcome
from .answers import found_at, words_of
from .placeholders import IN_HEADERS, NAMES, PLACEHOLDER, strings_in

MAX_DECLARATION = 20_000  # bytes
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")  # what may be stored and shown of an answer

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Template = Annotated[str, StringConstraints(max_length=500)]
# A way into an answer: names of an object or places of a list, with dots between them; * is each of a list.
Way = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(\.([A-Za-z0-9_-]+|\*))*$", max_length=200)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,60}\*?$")]
Status = Annotated[int, Field(ge=100, le=599)]
Verdict = Literal["accepted", "refused", "failed", "throttled", "blocked", "unknown", "opted_out"]
OUTCOMES: dict[Verdict, Outcome] = {
    "accepted": Outcome.ACCEPTED,
    "refused": Outcome.REFUSED,
    "failed": Outcome.FAILED,
    "throttled": Outcome.THROTTLED,
    "blocked": Outcome.BLOCKED,
    "unknown": Outcome.UNKNOWN,
    "opted_out": Outcome.REFUSED,
}


class Part(BaseModel):
    """The base of what a declaration is made of; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Auth(Part):
    """How the account signs in, if it is not in the body.

    `bearer`: Authorization: Bearer {token}. `basic`: the account and the token, or `username` and the token. `header`
    and `query`: `name` with `value`.
    """

    kind: Literal["bearer", "basic", "header", "query"]
    name: Name | None = None
    value: Template = "{token}"
    username: Template = "{account}"


class Validity(Part):
    """How long the gateway may be told to go on trying, in seconds."""

    least: Annotated[int, Field(ge=1)] = 60
    most: Annotated[int, Field(ge=1, le=2_592_000)] = 259_200


class Asking(Part):
    """A request. The body is a form or JSON; strings may hold placeholders."""

    method: Literal["GET", "POST", "PUT"] = "POST"
    path: Annotated[str, StringConstraints(pattern=r"^/[!-~]*$", max_length=500)]
    query: dict[Name, Template] = {}
    headers: dict[Name, Template] = {}
    form: dict[str, Any] | None = None
    json_body: dict[str, Any] | None = Field(default=None, alias="json")


class Rule(Part):
    """What an answer means that has one of these statuses, one of these codes, and something at this way.

    A code that ends with * stands for all that begin so. If there are several codes in an answer, all must be known.
    """

    status: tuple[Status, ...] = ()
    code: tuple[Code, ...] = ()
    has: Way | None = None
    outcome: Verdict

    def fits(self, status: int, codes: Sequence[str]) -> bool:
        """Whether an answer has one of the statuses, and none but the codes."""
        if self.status and status not in self.status:
            return False
        return not self.code or (bool(codes) and all(self._knows(code) for code in codes))

    def _knows(self, code: str) -> bool:
        if not _CODE.fullmatch(code):
            return False
        return any(code.startswith(known[:-1]) if known.endswith("*") else code == known for known in self.code)


class Answering(Part):
    """Where things stand in an answer, and what it means: the first rule that fits.

    In an answer of plain text the places are its words, from 0.
    """

    format: Literal["json", "text"] = "json"
    code: Way | None = None
    reference: Way | None = None
    price: Way | None = None
    parts: Way | None = None
    words: Way | None = None
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=50)]

    def rule_for(self, status: int, content: Any) -> tuple[Rule | None, str]:
        """The first rule that fits an answer, and the code that it has; no rule and "" if nobody knows the answer."""
        codes = [str(one) for one in found_at(content, self.code)] if self.code else []
        for rule in self.rules:
            if rule.fits(status, codes) and (rule.has is None or found_at(content, rule.has)):
                return rule, codes[0] if rule.code else ""
        return None, ""


class Example(Part):
    """An answer as the gateway's documentation shows it, and what it means."""

    status: Status
    body: Any
    outcome: Verdict


class Capabilities(Part):
    """What the gateway says of itself. `counts`: whether its limits are of messages, or of the parts of their texts."""

    recognises_ids: bool = False
    counts: Literal["messages", "parts"] = "messages"


class Declaration(Part):
    """A gateway. `url` is its address, without which GATEWAY_URL has to be set; `source` is where this was read."""

    name: Name
    source: Annotated[str, StringConstraints(max_length=300)] = ""
    url: Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=300)] | None = None
    auth: Auth | None = None
    request: Asking
    validity: Validity = Validity()
    answer: Answering
    examples: Annotated[tuple[Example, ...], Field(min_length=1, max_length=100)]
    capabilities: Capabilities = Capabilities()

    @model_validator(mode="after")
    def _checked(self) -> Self:
        """Raises Invalid, with the way to each fault, if its parts are right and the whole is not."""
        if found := list(_faults(self)):
            raise Invalid(*found)
        return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """The declaration of this JSON. Raises ValueError, or Invalid, with the way to what is wrong."""
        if len(text.encode()) > MAX_DECLARATION:
            raise ValueError(f"must have at most {MAX_DECLARATION} bytes")
        try:
            return cls.model_validate(json.loads(text))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from error
        except RecursionError as error:
            raise ValueError("is nested too deeply") from error


def _faults(declaration: Declaration) -> Iterator[FieldError]:
    yield from _faults_of_request(declaration)
    yield from _faults_of_answer(declaration.answer)
    yield from _faults_of_examples(declaration)


def _faults_of_request(declaration: Declaration) -> Iterator[FieldError]:
    asked, auth = declaration.request, declaration.auth
    if asked.form is not None and asked.json_body is not None:
        yield FieldError("request.json", Fault.DECLARATION_TWO_BODIES)
    used: set[str] = set()
    for path, template in _templates(declaration):
        names = set(PLACEHOLDER.findall(template))
        used |= names
        for name in sorted(names - (IN_HEADERS if path.startswith(("request.headers", "auth")) else NAMES)):
            yield FieldError(path, Fault.DECLARATION_PLACEHOLDER, {"name": name})
    if not used & {"phone", "digits"}:
        yield FieldError("request", Fault.DECLARATION_LEAVES_OUT, {"name": "{phone}"})
    if not used & {"text", "text_ucs2_hex"}:
        yield FieldError("request", Fault.DECLARATION_LEAVES_OUT, {"name": "{text}"})
    if auth is not None and auth.kind in ("header", "query") and auth.name is None:
        yield FieldError("auth.name", Fault.REQUIRED)
    if declaration.validity.least > declaration.validity.most:
        yield FieldError("validity.least", Fault.MORE_THAN_ALLOWED, {"most": declaration.validity.most})


def _templates(declaration: Declaration) -> Iterator[tuple[str, str]]:
    asked, auth = declaration.request, declaration.auth
    trees: dict[str, Any] = {
        "request.path": asked.path,
        "request.query": asked.query,
        "request.headers": asked.headers,
        "request.form": asked.form,
        "request.json": asked.json_body,
        "auth.value": auth.value if auth else None,
        "auth.username": auth.username if auth else None,
    }
    for path, tree in trees.items():
        for way, template in strings_in(tree):
            yield ".".join((path, *way)), template


def _faults_of_answer(answer: Answering) -> Iterator[FieldError]:
    for place, rule in enumerate(answer.rules):
        path = f"answer.rules.{place}"
        if rule.code and answer.code is None:
            yield FieldError(f"{path}.code", Fault.DECLARATION_NO_CODE)
        if rule.outcome != "accepted":
            continue
        if not (rule.status or rule.code):
            yield FieldError(path, Fault.DECLARATION_ANY_SUCCESS)
        if any(not 200 <= status < 300 for status in rule.status):
            yield FieldError(f"{path}.status", Fault.DECLARATION_NOT_SUCCESS)
        if any(code.endswith("*") and len(code) < 3 for code in rule.code):
            yield FieldError(f"{path}.code", Fault.DECLARATION_ANY_SUCCESS)
    if not any(rule.outcome == "accepted" for rule in answer.rules):
        yield FieldError("answer.rules", Fault.DECLARATION_NO_SUCCESS)


def _faults_of_examples(declaration: Declaration) -> Iterator[FieldError]:
    answer, seen = declaration.answer, set[str]()
    ways = {f"answer.{name}": getattr(answer, name) for name in ("code", "reference", "price", "parts", "words")}
    ways |= {f"answer.rules.{place}.has": rule.has for place, rule in enumerate(answer.rules)}
    for place, example in enumerate(declaration.examples):
        content = example.body if answer.format == "json" else words_of(str(example.body).encode())
        seen |= {path for path, way in ways.items() if way and found_at(content, way)}
        rule, _ = answer.rule_for(example.status, content)
        meant: Verdict = rule.outcome if rule else "unknown"
        if meant != example.outcome:
            yield FieldError(f"examples.{place}", Fault.DECLARATION_EXAMPLE, {"outcome": meant})
    for path, way in ways.items():
        if way and path not in seen:
            yield FieldError(path, Fault.DECLARATION_POINTS_NOWHERE)
    if not any(example.outcome == "accepted" for example in declaration.examples):
        yield FieldError("examples", Fault.DECLARATION_NO_SUCCESS)
