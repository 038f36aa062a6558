"""The bodies of mailings and reports, as read from requests and forms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from ..domain.clients import check_language
from ..domain.errors import FieldError, Invalid
from ..domain.faults import Fault
from ..domain.local_window import LocalWindow, WindowPolicy
from ..domain.mailings import MAX_RATE, MAX_TEXT_LENGTH, MOST_LANGUAGES, Late, Missing, OnUnknown, check_text
from ..domain.saved_segments import FIELD as SAVED_FIELD
from ..domain.segments import Segment
from ..domain.tags import check_name
from ..domain.templates import MAX_NAME_LENGTH, Template
from ..services.mailing_fields import MailingFields
from .clients import InternationalNumber, Tag
from .fields import Body, Moment, OneOrMore, OperatorCode, by_rule, example, refused
from .filters import FILTER_EXAMPLE, FilterBody


def _text(text: str) -> str:
    errors: list[FieldError] = check_text(text)
    if errors:
        raise Invalid(*errors)
    return text


MailingText = Annotated[StrictStr, by_rule(_text), Field(min_length=1, max_length=MAX_TEXT_LENGTH, examples=["Hello"])]
LanguageCode = Annotated[StrictStr, by_rule(check_language), Field(min_length=2, max_length=20, examples=["ru"])]
Texts = Annotated[
    dict[LanguageCode, MailingText],
    Field(
        max_length=MOST_LANGUAGES,
        description="The text by language, for clients with that `language` (`pt` also for `pt-BR`, unless "
        "there is a text for that). All others get `text`.",
        examples=[{"ru": "Здравствуйте"}],
    ),
]
MISSING = (
    "What happens if the text needs a value that a client does not have: the client is skipped, the text is sent "
    "without it, or the message fails."
)
BUDGET = (
    "How much it may cost at the gateway, by the price list and in its currency: the mailing is paused before a "
    "message that would cost more than is left. Calls without a clear answer count too, and a number without a price "
    "costs as much as the dearest. What is sent before there is a budget does not count."
)
KEEP_VALUES = (
    "Whether the values that each text was made with are kept with its message (at most 300 bytes), so that it can be "
    "told afterwards what exactly somebody was sent."
)
GatewayName = Annotated[StrictStr, Field(min_length=1, max_length=20, examples=["default"])]
Rate = Annotated[StrictInt, Field(ge=1, le=MAX_RATE)]
Money = Annotated[StrictStr, Field(pattern=r"^[0-9]{1,10}([.][0-9]{1,6})?$", examples=["1500.00"])]
# Far ahead, so that an example that is sent as it stands is taken, and sends nothing.
_START, _END = "2099-03-02T09:00:00+03:00", "2099-03-02T18:00:00+03:00"
StartTime = Annotated[Moment, Field(examples=[_START])]
EndTime = Annotated[Moment, Field(examples=[_END])]


TemplateName = Annotated[
    StrictStr,
    by_rule(check_name),
    Field(min_length=1, max_length=MAX_NAME_LENGTH, examples=["Order has come"]),
]
Version = Annotated[StrictInt, Field(ge=1, le=999_999, examples=[1])]


class TemplateBody(Body):
    """A text saved under a name that no other template has. Mailings can be made from it."""

    model_config = example({"name": "Order has come", "text": "Hello {{first_name|friend}}, your order has come"})

    name: TemplateName
    text: MailingText
    texts: Texts | None = None


class TemplateChangeBody(TemplateBody):
    """The next version of a template. `version` is the one that you have read and changed."""

    model_config = example({"name": "Order has come", "text": "Your order has come", "version": 1})

    version: Version


class TemplateRef(Body):
    """A version of a template; the newest one if `version` is null or absent."""

    id: StrictStr = Field(min_length=1, max_length=100)
    version: Version | None = None


TemplateGiven = Annotated[
    TemplateRef | None,
    Field(
        description="The template that the mailing's text and texts are copied from, if these are not given.",
        examples=[None],
    ),
]


def one_source(value: Any, info: ValidationInfo) -> Any:
    """A validator of `text` and `texts` in a body that may have a `template`, which must stand before them.

    Raises if there is a text and a template, or neither. A template that is wrong has an error of its own.
    """
    template = info.data.get("template")
    if template and value is not None:
        raise refused(Fault.TEXT_AND_TEMPLATE)
    if info.field_name == "text" and value is None and template is None and "template" in info.data:
        raise refused(Fault.REQUIRED)
    return value


def texts_of(given: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Texts by language as a mailing has them."""
    return tuple(sorted((given or {}).items()))


RecipientsId = Annotated[StrictStr, Field(pattern="^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]


class SegmentBody(Body):
    """Who gets a mailing: clients with any of these tags and any of these operators, who match the filter. An
    absent field means all; {} is everybody. Or to a file of numbers for this mailing only: `recipients` is the id of an
    import with `for_mailing=true`, without tag and operator. Or the clients of a saved segment: `segment` is its id,
    without anything else. What it has at the time of the request is copied, and is what the answer shows.
    """

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)

    tag: OneOrMore[Tag] | None = None
    operator: OneOrMore[OperatorCode] | None = None
    filter: FilterBody | None = Field(default=None, examples=[FILTER_EXAMPLE])
    recipients: RecipientsId | None = Field(default=None, examples=[None])
    saved: StrictStr | None = Field(default=None, alias="segment", max_length=100, examples=[None])

    def segment(self, saved: Segment | None = None) -> Segment:
        """The segment, which is `saved` if the body names one. Raises Invalid with the wrong field."""
        if self.saved is not None:
            if self.tag is not None or self.operator is not None or self.filter or self.recipients is not None:
                raise Invalid.of(SAVED_FIELD, Fault.SEGMENT_NARROWED)
            if saved is None:
                raise Invalid.of(SAVED_FIELD, Fault.NOT_A_SEGMENT)
            return saved
        return Segment.checked(
            _values(self.tag),
            _values(self.operator),
            None if self.filter is None else self.filter.node(),
            self.recipients or "",
        )


def _values(given: str | list[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


TimeOfDay = Annotated[StrictStr, Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class LocalWindowBody(Body):
    """The local hours in which clients may get messages. They run past midnight if `until` is earlier than `from`.

    `policy` says what happens outside these hours: the message waits (`defer`, the default) or is not sent (`skip`).
    """

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)

    start: TimeOfDay = Field(alias="from", examples=["09:00"])
    until: TimeOfDay = Field(examples=["21:00"])
    policy: WindowPolicy = WindowPolicy.DEFER

    def window(self) -> LocalWindow:
        return LocalWindow.parse(self.start, self.until, self.policy)

    @classmethod
    def of(cls, window: LocalWindow) -> LocalWindowBody:
        hours = {"from": window.start.isoformat("minutes"), "until": window.until.isoformat("minutes")}
        return cls.model_validate({**hours, "policy": window.policy})


MailingName = Annotated[
    StrictStr,
    by_rule(check_name),
    Field(min_length=1, max_length=MAX_NAME_LENGTH, examples=["Spring sale"]),
]
MAILING_EXAMPLE = {"text": "Hello", "clients": {"tag": "vip"}, "start_time": _START, "end_time": _END}


class MailingBody(Body):
    """A mailing: one text for a group of clients, sent between `start_time` and `end_time`. It starts automatically."""

    model_config = example(MAILING_EXAMPLE)

    name: MailingName | None = Field(
        default=None, description="Its name for people. The default is the beginning of its text."
    )
    template: TemplateGiven = None
    text: MailingText | None = Field(default=None, validate_default=True, description="Required without a template.")
    clients: SegmentBody
    start_time: StartTime
    end_time: EndTime
    local_window: LocalWindowBody | None = None
    rate_limit: Rate | None = None
    on_unknown: OnUnknown | None = Field(
        default=None,
        description="What happens to a message that the gateway may have taken: it is sent again, and may come twice "
        "if the gateway does not recognise ids (`retry`), or the gateway is asked what happened to it, if it can be "
        "asked (`ask`), or it stays for a person to decide (`hold`). The default is `retry` if the gateway recognises "
        "ids, `ask` if it can be asked, else `hold`.",
    )
    late: Late = Late.RUN
    include_unreachable: StrictBool = Field(
        default=False,
        description="Whether it also goes to clients marked as unreachable: three messages to their number were lost "
        "for good within 90 days.",
    )
    texts: Texts | None = None
    missing: Missing = Field(default=Missing.SKIP, description=MISSING)
    keep_values: StrictBool = Field(default=True, description=KEEP_VALUES)
    budget: Money | None = Field(default=None, description=BUDGET)
    gateway: GatewayName | None = None

    _one_source = field_validator("text", "texts")(one_source)

    def fields(self, template: Template | None = None, saved: Segment | None = None) -> MailingFields:
        """The fields of the mailing, with the texts of its template and with the saved segment, if it names them."""
        return MailingFields(
            text=template.text if template else self.text or "",
            segment=self.clients.segment(saved),
            start_at=self.start_time,
            end_at=self.end_time,
            name=self.name or "",
            on_unknown=self.on_unknown,
            rate_limit=self.rate_limit,
            local_window=self.local_window.window() if self.local_window else None,
            late=self.late,
            include_unreachable=self.include_unreachable,
            texts=template.texts if template else texts_of(self.texts),
            missing=self.missing,
            gateway=self.gateway or "",
            template=template.link if template else None,
            keep_values=self.keep_values,
            budget=Decimal(self.budget) if self.budget else None,
        )


class NewMailingBody(MailingBody):
    """A mailing, which starts automatically between `start_time` and `end_time` unless it is a draft."""

    draft: StrictBool = Field(
        default=False, description="Whether it is a draft: nothing is sent until it is scheduled or launched."
    )


class GatewayBudgetBody(Body):
    """What the messages of each month may cost at a gateway, null for no limit."""

    model_config = example({"month_budget": "1500.00"})

    month_budget: Money | None

    @property
    def amount(self) -> Decimal | None:
        return Decimal(self.month_budget) if self.month_budget else None


def _date(value: Any) -> date:
    try:
        if isinstance(value, str) and re.fullmatch(r"(20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}", value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise refused(Fault.NOT_A_DATE)


DateIn = Annotated[
    date, BeforeValidator(_date), WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-03-02"]})
]


class ReportBody(Body):
    """The day, in the report's time zone. If it is null or absent, the report covers today so far."""

    model_config = example({"day": "2026-03-02"})

    day: DateIn | None = None


class MailingTestBody(Body):
    """A mailing, and your own number that gets its text."""

    model_config = example({"phone_number": "+447700900001", "mailing": MAILING_EXAMPLE})

    phone_number: InternationalNumber
    mailing: MailingBody


class TrialBody(Body):
    """A test message."""

    model_config = example({"phone_number": "+447700900001", "text": "Hello"})

    phone_number: InternationalNumber
    text: MailingText
    gateway: GatewayName | None = None
