"""Declarations: gateways as data, which say how to make requests and what answers mean.

A declaration comes from an operator, so all of it is checked before it is used: its rules for answers are tried on its
own examples. An answer that no rule matches never counts as success.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, StringConstraints, ValidationError, model_validator

from ..domain.balances import Balance, amount_of, currency_of
from ..domain.errors import Invalid
from ..domain.messages import Outcome
from .answers import first_at, found_at, is_empty_list, json_of, words_of
from .declaration_callbacks import Code, Part, Receiving, Replying, Way, is_one_of
from .declaration_checks import faults

MAX_DECLARATION = 20_000  # bytes

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Template = Annotated[str, StringConstraints(max_length=500)]
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
    """How long the gateway may keep trying, in seconds."""

    least: Annotated[int, Field(ge=1)] = 60
    most: Annotated[int, Field(ge=1, le=2_592_000)] = 259_200


class Asking(Part):
    """A request. The body is a form or JSON; strings may contain placeholders."""

    method: Literal["GET", "POST", "PUT"] = "POST"
    path: Annotated[str, StringConstraints(pattern=r"^/[!-~]*$", max_length=500)]
    query: dict[Name, Template] = Field(default_factory=dict)
    headers: dict[Name, Template] = Field(default_factory=dict)
    form: dict[str, Any] | None = None
    json_body: dict[str, Any] | None = Field(default=None, alias="json")


class Condition(Part):
    """Which answers match: one of these statuses, one of these codes, something at `has`, an empty list at `empty`.

    A code that ends with * matches all codes that begin like it. If an answer has several codes, all must be known.
    """

    status: tuple[Status, ...] = ()
    code: tuple[Code, ...] = ()
    has: Way | None = None
    empty: Way | None = None
    outcome: str

    def fits(self, status: int, codes: Sequence[str], content: Any) -> bool:
        """Whether an answer matches."""
        if self.status and status not in self.status:
            return False
        if self.code and not (codes and all(self._knows(code) for code in codes)):
            return False
        if self.has and not found_at(content, self.has):
            return False
        return self.empty is None or is_empty_list(content, self.empty)

    def _knows(self, code: str) -> bool:
        return is_one_of(code, self.code)


class Rule(Condition):
    """What an answer means."""

    outcome: Verdict


class LookUpRule(Condition):
    """What an answer to a look-up means."""

    outcome: Literal["found", "missing"]


R = TypeVar("R", bound=Condition)


class Places(Part):
    """Where values are in an answer. In plain text the places are its words, counted from 0."""

    format: Literal["json", "text"] = "json"
    code: Way | None = None

    def content_of(self, body: bytes | None) -> Any:
        """The content of an answer that paths lead into."""
        return json_of(body) if self.format == "json" else words_of(body)

    def first(self, rules: Sequence[R], status: int, content: Any) -> tuple[R | None, str]:
        """The first rule that matches an answer, and the answer's code; None and "" if no rule matches."""
        codes = [str(one) for one in found_at(content, self.code)] if self.code else []
        for rule in rules:
            if rule.fits(status, codes, content):
                return rule, codes[0] if rule.code else ""
        return None, ""


class Answering(Places):
    """Where values are in an answer, and what it means: the first rule that matches."""

    reference: Way | None = None
    price: Way | None = None
    parts: Way | None = None
    words: Way | None = None
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=50)]


class LookUpAnswering(Places):
    """What an answer to a look-up means. If no rule matches, it is unclear."""

    rules: Annotated[tuple[LookUpRule, ...], Field(min_length=2, max_length=50)]


class Sample(Part):
    """An answer from the gateway's documentation, and what it means."""

    status: Status
    body: Any
    outcome: str


class Example(Sample):
    """An answer to a message."""

    outcome: Verdict


class LookUpExample(Sample):
    """An answer to a look-up."""

    outcome: Literal["found", "missing", "unclear"]


class LookUp(Part):
    """How the gateway is asked whether it has a message."""

    request: Asking
    answer: LookUpAnswering
    examples: Annotated[tuple[LookUpExample, ...], Field(min_length=2, max_length=100)]


class BalanceExample(Part):
    """An answer about the balance, and the amount in it."""

    body: Any
    amount: str
    currency: str = ""


class BalanceAsking(Part):
    """How to ask for the balance: the paths to the amount and its currency in the answer.

    `unit` is the currency if the answer does not have it.
    """

    request: Asking
    amount: Way
    currency: Way | None = None
    unit: Annotated[str, StringConstraints(pattern=r"^([A-Z]{3})?$")] = ""
    examples: Annotated[tuple[BalanceExample, ...], Field(min_length=1, max_length=20)]

    def read(self, content: Any) -> Balance:
        """The balance in an answer; empty without an amount."""
        currency = currency_of(first_at(content, self.currency)) or self.unit
        return Balance(amount_of(first_at(content, self.amount)), currency)


class Capabilities(Part):
    """What the gateway can do. `counts`: whether its limits count messages or SMS parts."""

    recognises_ids: bool = False
    counts: Literal["messages", "parts"] = "messages"


class Declaration(Part):
    """A gateway.

    `url` is its address (without it, GATEWAY_URL must be set), `source` the documentation that was used.
    """

    name: Name
    source: Annotated[str, StringConstraints(max_length=1000)] = ""
    url: Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=300)] | None = None
    auth: Auth | None = None
    request: Asking
    validity: Validity = Validity()
    answer: Answering
    examples: Annotated[tuple[Example, ...], Field(min_length=1, max_length=100)]
    look_up: LookUp | None = None
    receipts: Receiving | None = None
    replies: Replying | None = None
    balance: BalanceAsking | None = None
    capabilities: Capabilities = Capabilities()

    @model_validator(mode="after")
    def _checked(self) -> Self:
        """Raises Invalid with the path to each fault, if its parts are right but do not fit together."""
        if found := list(faults(self)):
            raise Invalid(*found)
        return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """The declaration in this JSON. Raises ValueError or Invalid, with the path to what is wrong."""
        if len(text.encode()) > MAX_DECLARATION:
            raise ValueError(f"must have at most {MAX_DECLARATION} bytes")
        try:
            return cls.model_validate(json.loads(text))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from error
        except RecursionError as error:
            raise ValueError("is nested too deeply") from error
