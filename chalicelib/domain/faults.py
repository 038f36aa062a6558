"""Everything that can be wrong with a request: a code for each, and the sentence that people read, in one table.

Code raises and compares the members of `Fault`; only this module makes their sentences. A sentence is in English, and
is also the key by which the admin UI translates it. `%(name)s` is a value of the error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, unique


def _as_it_is(text: str) -> str:
    return text


@unique
class Fault(Enum):
    """What is wrong. The sentence of a field's fault follows the field's name; any other sentence stands alone."""

    # -- of a field: its kind
    REQUIRED = "is required"
    UNKNOWN_FIELD = "is not a known field"
    EMPTY = "must not be empty"
    NOT_A_STRING = "must be a string"
    NOT_A_FLAG = "must be true or false"
    NOT_A_WHOLE_NUMBER = "must be a whole number"
    NOT_FINITE = "must be a finite number"
    NOT_A_LIST = "must be a list"
    NOT_AN_OBJECT = "must be an object"
    NOT_A_CHOICE = "must be %(allowed)s"
    NUMBER_TOO_LARGE = "is too large"
    LESS_THAN_ALLOWED = "must be at least %(least)s"
    MORE_THAN_ALLOWED = "must be at most %(most)s"
    TOO_SHORT = "must have at least %(least)s characters"
    TOO_LONG = "must have at most %(most)s characters"
    LENGTH = "must have %(least)s to %(most)s characters"
    TOO_FEW_VALUES = "must have at least %(least)s values"
    TOO_MANY_VALUES = "must have at most %(most)s values"
    GIVEN_TWICE = "must be given only once"
    PATTERN = "must match the pattern %(pattern)s"
    HALF_A_CHARACTER = "must not contain an incomplete character (a lone surrogate)"
    CONTROL_CHARACTERS = "must not contain control characters"
    CONTROL_CHARACTERS_IN_TEXT = "must not contain control characters other than line breaks and tabs"
    PLACEHOLDER = "has %(text)s, which is not a placeholder; write a name in double braces, such as {{first_name}}"
    PLACEHOLDER_OPEN = "has a placeholder that is never closed with }}: %(text)s"
    TOO_MANY_PLACEHOLDERS = "must have at most %(most)s placeholders"
    SECTION_IN_SECTION = "has {{#%(name)s}} inside {{#%(outer)s}}; close that one first"
    SECTION_OPEN = "has {{#%(name)s}} without {{/%(name)s}}"
    SECTION_NOT_OPENED = "has {{/%(name)s}} without {{#%(name)s}} before it"
    NOT_ONE_LINE = "must be one line without control characters"
    # A text that is passed on as it is: from the library that reads bodies, or already in the caller's language.
    AS_TOLD = "%(text)s"

    # -- of a declaration of a gateway
    DECLARATION_TWO_BODIES = "must not be set together with request.form"
    DECLARATION_PLACEHOLDER = "must not have the placeholder {%(name)s}"
    DECLARATION_LEAVES_OUT = "must have the placeholder %(name)s somewhere"
    DECLARATION_NO_CODE = "needs answer.code, the place of the code in an answer"
    DECLARATION_ANY_SUCCESS = "must say which status or code means that a message was accepted"
    DECLARATION_NOT_SUCCESS = "must be from 200 to 299, because the message was accepted"
    DECLARATION_NO_SUCCESS = "must have an example of a message that was accepted"
    DECLARATION_POINTS_NOWHERE = "points to nothing in any of the examples"
    DECLARATION_ANY_MISSING = "needs a code, an empty list or the status 404 to show that there is no such message"
    DECLARATION_EXAMPLE = "has an answer that means %(outcome)s by the rules"

    # -- of a mailing, because of the gateway
    GATEWAY_CANNOT_BE_ASKED = "must not be ask, because this gateway cannot say what happened to a message"

    # -- of a field: times
    NOT_A_MOMENT = "must be a time in ISO 8601 with an offset, such as 2026-03-02T09:00:00+03:00"
    MOMENT_WITHOUT_OFFSET = "must have an offset, such as 2026-03-02T09:00:00+03:00 or a Z at the end"
    NO_SUCH_MOMENT = "is not a date and time that exists"
    MOMENT_TOO_FAR = "must be between the years 1970 and 2199"
    NOT_A_DATE = "must be a date between the years 2000 and 2199, such as 2026-03-02"
    NOT_A_TIME_OF_DAY = "must be a time of day such as 09:00"
    NOT_IN_FUTURE = "must be in the future"
    END_BEFORE_START = "must be after start_time"
    END_AFTER_RETENTION = "must be at most %(days)s days after the mailing was launched; copy the mailing instead"
    LOCAL_WINDOW_EMPTY = "must differ from local_window.from"

    # -- of a field: clients and mailings
    PHONE_NUMBER = "must be an international number of 7 to 15 digits, such as +79161234567"
    RUSSIAN_PHONE_NUMBER = "must have 11 digits if it begins with +7"
    PHONE_NO_COUNTRY = "needs its country code, such as +79161234567; or choose a country for numbers without one"
    PHONE_NOT_OF_COUNTRY = "is not a number of %(country)s; write it with + and its country code"
    PHONE_TOO_SHORT = "has too few digits for a number that begins with %(code)s"
    PHONE_TOO_LONG = "has too many digits for a number that begins with %(code)s"
    PHONE_DOES_NOT_EXIST = "does not exist in the country of %(code)s; check its digits"
    PHONE_SCIENTIFIC = "was shortened by a spreadsheet; format the column as text there and export it again"
    PHONE_EXTENSION = "has an extension, which gets no messages; give the number only"
    PHONE_TWO_NUMBERS = "has two numbers in it; give one"
    PHONE_TWO_READINGS = "can be read as %(numbers)s; write it with + and its country code"
    PHONE_LETTERS = "has letters in it; give digits only"
    COUNTRY = "must be a country code of two letters, such as DE"
    OPERATOR = "must be a 3-digit code, such as 916"
    TIME_ZONE = "must be an IANA time zone, such as Europe/Moscow"
    LANGUAGE = "must be the code of a language, such as ru or pt-BR"
    TAG_NOT_AMONG_TAGS = "must be one of tags, if both are given"
    ATTRIBUTE_NAME = "must have a name of small letters, digits and _ that begins with a letter, such as first_name"
    ATTRIBUTE_VALUE = "must be a text, a number, true or false"
    ATTRIBUTE_NUMBER = "must be a number of at most 15 digits; give a longer one as a text"
    ATTRIBUTE_LINE = "must be written as NAME: VALUE, each on a line of its own, not as %(line)s"
    ATTRIBUTES_TOO_LARGE = "must have at most %(most)s bytes together"
    TOO_MANY_ATTRIBUTE_NAMES = "must not have new names, because there are %(most)s different ones; use those"
    PRICE_PREFIX = "must be the digits that numbers begin with, such as 7916"
    PRICE = "must be a price such as 2.10, with at most 6 digits before and after the point"
    PRICE_HEADER = "must have a header with the columns prefix, price and currency"
    CURRENCY = "must be the code of a currency, such as EUR"
    CURRENCIES = "must be the same in all rows"
    BUDGET = "must be an amount of money such as 1500.00, more than 0 and at most %(most)s"
    BUDGET_WITHOUT_PRICES = "needs a price list; there is none yet, so enter what an SMS part costs first"
    FILTER_KIND = "must have exactly one of %(allowed)s"
    FILTER_COMPARISON = "must compare the attribute by exactly one of %(allowed)s"
    FILTER_NOT_HERE = "does not belong to a condition on %(name)s"
    FILTER_TOO_DEEP = "is nested too deeply; at most %(most)s levels are allowed"
    FILTER_BETWEEN = "must be a list of two values, the least and the greatest"
    FILTER_ORDER = 'must be a number, a date such as 2026-03-02, or an object such as {"today": -30}'
    FILTER_TODAY = 'must be an object such as {"today": -30}, with a whole number of days up to %(most)s'
    FILTER_NO_MAILING = "asks about the mailing %(name)s, which does not exist"
    FILTER_FORGOTTEN = "asks about the mailing %(name)s, whose messages are deleted soon; start on %(day)s or before"
    NO_ID_OF_A_MAILING = "is not a mailing ID"
    NO_ID_OF_A_CLIENT = "is not a client ID"
    TEXT_AND_TEMPLATE = "must not be given with a template, which has texts of its own"
    NOT_A_TEMPLATE = "is not the ID of a template, or the template was deleted"
    NO_SUCH_SHEET = "is not a sheet of this workbook, which has: %(names)s"
    NOT_A_VERSION = "is not a version of this template"
    NOT_A_SEGMENT = "is not the ID of a saved segment, or the segment was deleted"
    SEGMENT_NARROWED = "is a saved segment with its own tags, operators and filter; leave those out"
    RECIPIENTS_NARROWED = "cannot be combined with tag and operator; leave them out"
    NO_SUCH_RECIPIENTS = "is not a file uploaded for a mailing in the last 7 days; upload it again"
    RECIPIENTS_NOT_READY = "is a file that is still being read; wait until its status is finished"
    RECIPIENTS_USED = "is a file that the mailing %(name)s already uses; upload it again for another mailing"
    RECIPIENTS_FORGOTTEN = "must be %(until)s or earlier, because the file of numbers is deleted then"
    RECIPIENTS_NOT_SAVED = "is a file for one mailing and cannot be saved in a group; choose it in the mailing"
    NOBODY_TO_SEND_TO = "match no client, and the mailing would start right away; choose other clients or a later start"
    TRIAL_UNHEARD = "a test message was sent with this key, but its result is not known; send another with a new key"
    TOO_MANY_TRIALS = "too many test messages were sent in this minute; wait for the next one"
    KEY_USED = "was already used for a different request; use a new key"
    KEY = "must have 1 to %(most)s visible ASCII characters, for example a UUID"
    RATE = "must be 1 to %(most)s per second, or null for no limit"

    # -- of a field: users
    USERNAME = "must have 2 to 64 letters, digits, dots, dashes or underscores, and start with a letter or digit"
    USERNAME_RESERVED = "must not be %(name)s"
    WRONG_PASSWORD = "is not correct"  # noqa: S105 - a name

    # -- of an import
    UNCLOSED_QUOTE = (
        "has a quotation mark that is never closed, so %(lines)s lines after it were not read; close it and try again"
    )
    NOT_A_FLAG_IN_A_FILE = "must be yes or no in one of the usual words, not %(value)s"
    NOT_A_TEXT_FILE = "must be a text file (CSV), but it is %(kind)s; save the list as “CSV UTF-8”"
    NOT_A_JSON_LINE = "must be a JSON object on a line of its own"
    NOT_IN_ENCODING = "is not in the encoding %(encoding)s"
    WORKBOOK_TOO_LARGE = (
        "is an Excel workbook of more than %(most)s bytes; save the list as “CSV UTF-8”, which may have any size"
    )
    FILE_TOO_LARGE = "has more than %(most)s bytes when it is unpacked; split it into smaller files"
    UNREADABLE_CSV = "cannot be read: %(what)s"
    COLUMN_RULE = "must be a field, a colon and the name of a column, such as phone_number:Mobile"
    NO_SUCH_COLUMN = "names the column %(name)s, which the file does not have"
    FIELD_TWICE = "has two columns for the field %(name)s; choose one of them"
    COLUMN_TWICE = "has two columns named %(name)s"
    NO_PHONE_NUMBER_COLUMN = "must have a column phone_number; the possible columns are %(names)s"
    TOO_MANY_ROWS = "has more than %(most)s rows; split it into smaller files"
    WRONG_NUMBER_OF_VALUES = "has %(given)s values, but the header has %(named)s columns"
    CELL_TOO_LONG = "has more than %(most)s characters"
    NUMBER_IN_ANOTHER_ROW = "is the same as in row %(row)s"
    EXTERNAL_ID_IN_ANOTHER_ROW = "is also in row %(row)s, with another phone number"
    EXTERNAL_ID_OF_ANOTHER = "belongs to another client"

    # -- the request cannot be read
    BODY_EMPTY = "the body is empty; send a JSON object"
    BODY_NOT_UTF8 = "the body is not UTF-8 at byte %(place)s"
    BODY_NOT_JSON = "the body is not JSON: %(what)s, line %(line)s, column %(column)s"
    BODY_NOT_A_NUMBER = "the body is not JSON: %(name)s is not a number"
    BODY_TOO_DEEP = "the body is nested too deeply"
    BODY_NAME_TWICE = "the body has an object with the same name twice"
    BODY_NUMBER_TOO_LONG = "the body has a number with %(digits)s digits, which is too long"
    BODY_TOO_LARGE = "the body has %(bytes)s bytes; at most %(limit)s are allowed"
    WRONG_CONTENT_TYPE = "the content type must be %(kind)s, in UTF-8"
    CURSOR_CHANGED = "the cursor was changed, or belongs to another list or other filters; start from the first page"
    CURSOR_OF_ANOTHER_LIST = "the cursor belongs to another list; start from the first page"
    FORM_UNREADABLE = "the form cannot be read; reload the page and try again"

    # -- the caller
    WRONG_CREDENTIALS = "the username or password is wrong"
    NO_VALID_TOKEN = "a valid token is needed; get one from /auth-token/"  # noqa: S105 - a name
    TOO_MANY_FAILED_SIGN_INS = "too many failed sign-ins; wait a little and try again"
    TOO_MANY_SIGN_INS = "too many people are signing in right now; try again in a few seconds"
    ROLE_NEEDED = "only users with the role %(role)s can do this"
    OTHER_SITE = "the request came from another site; open this page directly and try again"
    FORM_TOO_OLD = "the form is out of date; reload the page and try again"

    # -- it does not exist
    NO_SUCH_CLIENT = "there is no client %(name)s"
    NO_SUCH_MAILING = "there is no mailing %(name)s"
    NO_SUCH_RECEIPTS = "no gateway reports to this address"
    NO_SUCH_MESSAGE = "there is no message %(name)s"
    NO_SUCH_FAILED_MESSAGE = "this failed message is no longer there, or somebody else is working on it"
    NO_SUCH_TEMPLATE = "there is no template %(name)s"
    NO_SUCH_IMPORT = "there is no import %(name)s"
    NO_SUCH_SEGMENT = "there is no saved segment %(name)s"
    NO_SUCH_USER = "there is no user %(name)s"
    NO_SUCH_TOKEN = "there is no such token"  # noqa: S105 - a name
    NO_SUCH_FILE = "there is no such file"
    NO_SUCH_PAGE = "there is no page at this address; it may be an old one"

    # -- it cannot be done now
    PHONE_NUMBER_TAKEN = "another client already has this phone number"
    EXTERNAL_ID_TAKEN = "another client already has this external_id"
    PHONE_NUMBER_WORN_OUT = "this phone number has moved between clients too often and can no longer be used"
    SEGMENT_NAME_TAKEN = "another saved segment has this name; choose another one"
    TOO_MANY_SEGMENTS = "there are already %(most)s saved segments, the most allowed; delete one first"
    USERNAME_TAKEN = "this username is taken; choose another one"
    LAST_ADMIN = "the last admin cannot be deleted or made an operator; make another user an admin first"
    MAILING_ASKED_ABOUT = (
        "another mailing chooses its clients by the results of this one, which can be deleted after %(until)s"
    )
    CLIENT_CHANGED = "somebody else changed this client in the meantime; reload and make your change again"
    USER_CHANGED = "somebody else changed this user in the meantime; reload and make your change again"
    TEMPLATE_NAME_TAKEN = "another template already has this name; choose another one"
    TEMPLATE_CHANGED = "somebody else changed this template in the meantime; reload and make your change again"
    IMPORT_INCOMPLETE = (
        "only %(received)s of the file's %(parts)s parts have arrived; send the others, or the whole file again"
    )
    MAILING_BEING_CHANGED = "somebody else is changing this mailing; try again"
    MAILING_CANNOT_BECOME = "this mailing is %(old)s and cannot become %(new)s"
    MAILING_NOT_DELETABLE = "this mailing is %(status)s; cancel it before you delete it"
    MAILING_NOT_ENDED = "this mailing is %(status)s; only after it has ended is it known whom it did not reach"
    MAILING_NOT_LAUNCHABLE = "this mailing is %(status)s; only a scheduled mailing or a draft can be started"
    MAILING_NO_DRAFT = "this mailing is %(status)s; only a draft can be scheduled"
    MAILING_NOT_RESUMABLE = "this mailing is %(status)s; only a paused mailing can be resumed"
    MAILING_NOT_RETRIABLE = "this mailing is %(status)s; only a finished mailing can be retried"
    MAILING_NOT_CHANGEABLE = "this mailing is %(status)s and cannot be changed"
    MAILING_PARTLY_CHANGEABLE = "this mailing is %(status)s: only %(names)s can be changed, not %(refused)s"
    MAILING_MATCHES_NOBODY = "no client matches this mailing; change its clients first"
    WINDOW_CLOSED = "the end of this mailing has passed"
    WINDOW_CLOSED_MOVE_END = "the end of this mailing has passed; set a later end first"
    NO_REPORT_RECIPIENTS = "the report has no recipients; set REPORT_TO first"
    DAY_NOT_BEGUN = "%(day)s has not started yet; choose today or an earlier day"
    MAYBE_SENT = "it may already have been sent; retry it only if it may arrive twice"
    NOT_A_MESSAGE = "this is not a message of this service"

    # -- on a queue; only the log shows these
    NOT_A_HINT = "this is not a message of the send queue: %(what)s"
    NOT_A_RECEIPT = "this is not a message of the receipt queue: %(what)s"
    NOT_A_UNIT = "this is not a message of the dispatch queue: %(what)s"

    @property
    def code(self) -> str:
        return self.name.lower()

    def sentence(
        self,
        values: Mapping[str, object],
        translate: Callable[[str], str] = _as_it_is,
        told: Callable[[object], str] = str,
    ) -> str:
        """The sentence that people read. `translate` gets it with its placeholders, `told` gets each value."""
        return translate(self.value) % {name: told(value) for name, value in values.items()}
