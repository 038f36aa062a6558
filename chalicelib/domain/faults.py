"""Everything that can be wrong with a request: a code for each, and the sentence that people read, in one table.

Code raises and compares the members of `Fault`; their sentences are put together here alone. A sentence is in English,
and at the same time the key by which the admin UI translates it. `%(name)s` is a value that the error brings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, unique


def _as_it_is(text: str) -> str:
    return text


@unique
class Fault(Enum):
    """What is wrong. A fault of a field is told after the field's name, any other one stands alone."""

    # -- of a field: its kind
    REQUIRED = "is required"
    UNKNOWN_FIELD = "is not known here"
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
    GIVEN_TWICE = "must be given once"
    PATTERN = "must match %(pattern)s"
    HALF_A_CHARACTER = "must not contain half of a character (a lone surrogate)"
    CONTROL_CHARACTERS = "must not contain control characters"
    CONTROL_CHARACTERS_IN_TEXT = "must not contain control characters other than line breaks and tabs"
    NOT_ONE_LINE = "must be one line without control characters"
    # A text that is told as it is: of the library that reads bodies, or already in the language of who asks.
    AS_TOLD = "%(text)s"

    # -- of a field: times
    NOT_A_MOMENT = "must be a time in ISO 8601 with an offset, such as 2026-03-02T09:00:00+03:00"
    MOMENT_WITHOUT_OFFSET = "must have an offset, such as 2026-03-02T09:00:00+03:00 or a Z at the end"
    NO_SUCH_MOMENT = "is not a date and time that exists"
    MOMENT_TOO_FAR = "must be between the years 1970 and 2199"
    NOT_A_DATE = "must be a date between the years 2000 and 2199, such as 2026-03-02"
    NOT_A_TIME_OF_DAY = "must be a time of day such as 09:00"
    NOT_IN_FUTURE = "must be in the future"
    END_BEFORE_START = "must be after start_time"
    LOCAL_WINDOW_EMPTY = "must differ from local_window.from"

    # -- of a field: clients and mailings
    PHONE_NUMBER = "must be an international number of 7 to 15 digits, such as +79161234567"
    RUSSIAN_PHONE_NUMBER = "must have 11 digits if it begins with +7"
    OPERATOR = "must be a 3-digit code, such as 916"
    TIME_ZONE = "must be an IANA time zone, such as Europe/Moscow"
    NO_ID_OF_A_MAILING = "is not the id of a mailing"
    NO_ID_OF_A_CLIENT = "is not the id of a client"
    NOBODY_TO_SEND_TO = "match no client, and the mailing would start at once; see its preview"
    KEY_USED = "was already used for another request; take a new one"
    KEY = "must have 1 to %(most)s visible ASCII characters, such as those of a UUID"
    RATE = "must be 1 to %(most)s messages a second, or null for no limit"

    # -- of a field: users
    USERNAME = "must have 2 to 64 letters, digits, dots, dashes or underscores, and begin with a letter or digit"
    USERNAME_RESERVED = "must not be %(name)s"
    WRONG_PASSWORD = "is wrong"  # noqa: S105 - a name

    # -- of an import
    UNREADABLE_CSV = "cannot be read: %(what)s"
    UNKNOWN_COLUMN = "has a column %(name)s, which is not known here"
    COLUMN_TWICE = "has the column %(name)s twice"
    NO_PHONE_NUMBER_COLUMN = "must have the column phone_number; known are %(names)s"
    TOO_MANY_ROWS = "has more than %(most)s rows; import it in parts"
    WRONG_NUMBER_OF_VALUES = "has %(given)s values, but the header has %(named)s columns"
    CELL_TOO_LONG = "has more than %(most)s characters"
    NUMBER_IN_ANOTHER_ROW = "is already in row %(row)s"

    # -- the request cannot be read
    BODY_EMPTY = "the body is empty; send a JSON object"
    BODY_NOT_UTF8 = "the body is not UTF-8 at byte %(place)s"
    BODY_NOT_JSON = "the body is not JSON: %(what)s, line %(line)s, column %(column)s"
    BODY_NOT_A_NUMBER = "the body is not JSON: %(name)s is not a number"
    BODY_TOO_DEEP = "the body is nested too deeply"
    BODY_NAME_TWICE = "the body has an object in which a name comes twice"
    BODY_NUMBER_TOO_LONG = "the body has a number of %(digits)s digits, which is too long"
    BODY_TOO_LARGE = "the body has %(bytes)s bytes, and at most %(limit)s are taken"
    WRONG_CONTENT_TYPE = "send %(kind)s in UTF-8"
    CURSOR_CHANGED = "the cursor was changed, or belongs to another list or other filters"
    CURSOR_OF_ANOTHER_LIST = "the cursor does not fit this list"
    FORM_UNREADABLE = "the form cannot be read"

    # -- who asks
    WRONG_CREDENTIALS = "the username or the password is wrong"
    NO_VALID_TOKEN = "a valid token is needed; get one from /auth-token/"  # noqa: S105 - a name
    TOO_MANY_FAILED_SIGN_INS = "too many failed sign-ins; wait before the next"
    TOO_MANY_SIGN_INS = "too many sign-ins at once"
    ROLE_NEEDED = "this needs the role %(role)s"
    OTHER_SITE = "the request came from another site"
    FORM_TOO_OLD = "the form is too old; reload the page and try again"

    # -- there is none
    NO_SUCH_CLIENT = "there is no client %(name)s"
    NO_SUCH_MAILING = "there is no mailing %(name)s"
    NO_SUCH_MESSAGE = "there is no message %(name)s"
    NO_SUCH_IMPORT = "there is no import %(name)s"
    NO_SUCH_USER = "there is no user %(name)s"
    NO_SUCH_TOKEN = "there is no such token"  # noqa: S105 - a name
    NO_SUCH_FILE = "there is no such file"

    # -- it cannot be done now
    PHONE_NUMBER_TAKEN = "there is already a client with this phone number"
    PHONE_NUMBER_WORN_OUT = "this number has changed hands too often; it cannot be used any more"
    USERNAME_TAKEN = "there is already a user with this name"
    LAST_ADMIN = "the last admin cannot be removed or become an operator"
    CLIENT_CHANGED = "somebody else has changed this client meanwhile; look again and repeat your change"
    USER_CHANGED = "somebody else has changed this user meanwhile; look again and repeat your change"
    MAILING_BEING_CHANGED = "the mailing is being changed by others; try again"
    MAILING_CANNOT_BECOME = "a mailing that is %(old)s cannot become %(new)s"
    MAILING_NOT_DELETABLE = "a mailing that is %(status)s cannot be deleted; cancel it first"
    MAILING_NOT_LAUNCHABLE = "a mailing that is %(status)s cannot be launched; only a scheduled one can"
    MAILING_NOT_RESUMABLE = "a mailing that is %(status)s cannot be resumed; only a paused one can"
    MAILING_NOT_RETRIABLE = "a mailing that is %(status)s cannot be retried; only a finished one can"
    MAILING_HAS_NO_RATE = "a mailing that is %(status)s sends nothing more, so its rate cannot be changed"
    MAILING_NOT_CHANGEABLE = "this mailing is %(status)s and cannot be changed"
    MAILING_PARTLY_CHANGEABLE = "this mailing is %(status)s: %(refused)s cannot be changed, only %(names)s"
    MAILING_MATCHES_NOBODY = "the mailing's clients match nobody; see its preview"
    WINDOW_CLOSED = "the mailing's window has closed"
    WINDOW_CLOSED_MOVE_END = "the mailing's window has closed; move its end first"
    NO_REPORT_RECIPIENTS = "nobody gets the report: set REPORT_TO"
    DAY_NOT_BEGUN = "%(day)s has not begun yet"
    MAYBE_SENT = "the gateway may have taken it, so it is put back only if that is asked for"
    NOT_A_MESSAGE = "the body is not a message of this service"

    # -- on a queue, for who looks into the log
    NOT_A_HINT = "no hint: %(what)s"
    NOT_A_UNIT = "no unit: %(what)s"

    @property
    def code(self) -> str:
        return self.name.lower()

    def sentence(
        self,
        values: Mapping[str, object],
        translate: Callable[[str], str] = _as_it_is,
        told: Callable[[object], str] = str,
    ) -> str:
        """What people read of it. `translate` is given the sentence with its places, `told` each value."""
        return translate(self.value) % {name: told(value) for name, value in values.items()}
