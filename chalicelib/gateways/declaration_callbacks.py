"""What a declaration says of callbacks: of receipts, and of what people write back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from .answers import CODE
from .signatures import Signature

# A way into an answer: names of an object or places of a list, with dots between them; * is each of a list.
Way = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(\.([A-Za-z0-9_-]+|\*))*$", max_length=200)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,60}\*?$")]


class Part(BaseModel):
    """The base of what a declaration is made of; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def is_one_of(code: str, codes: Sequence[str]) -> bool:
    """Whether a code is one of these, or begins as one of them that ends with *."""
    if not CODE.fullmatch(code):
        return False
    return any(code.startswith(known[:-1]) if known.endswith("*") else code == known for known in codes)


class ReceiptRule(Part):
    """What a receipt with one of these codes means; with `detail` only if its detail is one of these, too.

    `permanent`: no message will ever reach this number. `temporary`: this one did not.
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
        """Whether a receipt is meant."""
        return is_one_of(code, self.code) and (not self.detail or is_one_of(detail, self.detail))


class ReceiptExample(Part):
    """A callback as the gateway's documentation shows it, `form` or `json`, and the words of its receipts."""

    form: dict[str, str] | None = None
    json_body: Any = Field(default=None, alias="json")
    words: tuple[Literal["pending", "delivered", "temporary", "permanent"], ...]


class Receiving(Part):
    """Where things stand in a callback, or in each of the receipts that it has at `each`, and what it means.

    `message_id` is the id that the gateway was given; `{receipt_url}` has it, too. `signature`: how callbacks are
    signed. `reply` is the body that the gateway wants to be answered.
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
    """A callback as the gateway's documentation shows it, `form` or `json`, and the texts that people wrote."""

    form: dict[str, str] | None = None
    json_body: Any = Field(default=None, alias="json")
    texts: tuple[str, ...]


class Replying(Part):
    """Where things stand in a callback that tells what people wrote, or in each of the replies that it has at `each`.

    Without an `id` what is told twice in the same words is one reply. `message_id` is the id that the gateway was given
    of the message that is answered. `answer` is what the gateway wants to be answered with, as XML if it begins with <:
    it may go to whoever wrote. `at_receipts`: receipts and replies come at one address, that of either.
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
    answer: Annotated[str, StringConstraints(max_length=100)] = ""
    examples: Annotated[tuple[ReplyExample, ...], Field(min_length=1, max_length=50)]
