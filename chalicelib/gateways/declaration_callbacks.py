"""The parts of a declaration for callbacks: receipts and replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from .answers import CODE
from .signatures import Signature

# A path into an answer: names in objects or places in lists, separated by dots; * is each item of a list.
Way = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(\.([A-Za-z0-9_-]+|\*))*$", max_length=200)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,60}\*?$")]


class Part(BaseModel):
    """The base of all parts of a declaration; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def is_one_of(code: str, codes: Sequence[str]) -> bool:
    """Whether a code is one of these, or begins like one of them that ends with *."""
    if not CODE.fullmatch(code):
        return False
    return any(code.startswith(known[:-1]) if known.endswith("*") else code == known for known in codes)


class ReceiptRule(Part):
    """What a receipt with one of these codes means. With `detail`, its detail must be one of these too.

    `permanent`: no message will ever reach this number. `temporary`: only this one did not.
    """

    code: Annotated[tuple[Code, ...], Field(min_length=1)]
    detail: tuple[Code, ...] = ()
    word: Literal["pending", "delivered", "temporary", "permanent"]
    reason: Literal[
        "not_delivered",
        "phone_unreachable",
        "number_invalid",
        "blocked_by_carrier",
        "taken_for_spam",
        "validity_ended",
    ] = "not_delivered"

    def fits(self, code: str, detail: str) -> bool:
        """Whether a receipt matches."""
        return is_one_of(code, self.code) and (not self.detail or is_one_of(detail, self.detail))


class ReceiptExample(Part):
    """A callback from the gateway's documentation, as `form` or `json`, and the words of its receipts."""

    form: dict[str, str] | None = None
    json_body: Any = Field(default=None, alias="json")
    words: tuple[Literal["pending", "delivered", "temporary", "permanent"], ...]


class Receiving(Part):
    """Where values are in a callback, or in each of the receipts at `each`, and what they mean.

    `message_id` is the id that the gateway was given; `{receipt_url}` contains it too. `signature` is how callbacks are
    signed. `reply` is the body that the gateway expects as an answer.
    """

    each: Way | None = None
    message_id: Way = "message_id"
    code: Way
    detail: Way | None = None
    phone: Way | None = None
    at: Way | None = None
    parts: Way | None = None
    price: Way | None = None
    currency: Way | None = None
    signature: Signature | None = None
    reply: Annotated[str, StringConstraints(max_length=100)] = ""
    rules: Annotated[tuple[ReceiptRule, ...], Field(min_length=1, max_length=50)]
    examples: Annotated[tuple[ReceiptExample, ...], Field(min_length=1, max_length=50)]


class ReplyExample(Part):
    """A callback from the gateway's documentation, as `form` or `json`, and the texts of its replies."""

    form: dict[str, str] | None = None
    json_body: Any = Field(default=None, alias="json")
    texts: tuple[str, ...]


class Replying(Part):
    """Where values are in a callback with a reply, or in each of the replies at `each`.

    Without an `id`, equal callbacks are one reply. `message_id` is the id that the gateway was given for the message
    that is answered. `answer` is the body that the gateway expects, XML if it begins with <; it may be sent to the
    person who wrote. `at_receipts`: receipts and replies come to the same address. `query`: what that address needs
    after its question mark when it is entered at the provider.
    """

    each: Way | None = None
    id: Way | None = None
    phone: Way
    text: Way
    to: Way | None = None
    at: Way | None = None
    message_id: Way | None = None
    signature: Signature | None = None
    at_receipts: bool = False
    query: Annotated[dict[str, str], Field(max_length=10)] = {}
    answer: Annotated[str, StringConstraints(max_length=100)] = ""
    examples: Annotated[tuple[ReplyExample, ...], Field(min_length=1, max_length=50)]
