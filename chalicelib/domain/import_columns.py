"""Which column of a file is which field of a client, in the spellings of the programs that people come from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .clients import CLIENT_FIELDS
from .errors import FieldError, Invalid
from .faults import Fault

# By field, names of columns in the order in which they are preferred; as `_plain` has them.
NAMES: Mapping[str, Sequence[str]] = {
    "phone_number": (
        *(
            "phone number",
            "msisdn",
            "mobile phone number",
            "mobile phone",
            "mobile number",
            "mobile",
            "sms",
            "cell phone",
        ),
        *("cell", "cellphone", "phone", "phone 1 value", "address", "telephone", "telephone number", "tel"),
        *(
            "whatsapp",
            "primary phone",
            "home phone",
            "номер телефона",
            "мобильный телефон",
            "мобильный",
            "телефон",
            "номер",
        ),
        *("контактный телефон", "telefonnummer", "mobilnummer", "handynummer", "handy", "telefon", "mobiltelefon"),
        *("teléfono móvil", "móvil", "celular", "teléfono", "telefono", "cellulare", "téléphone portable", "téléphone"),
        *("numéro de téléphone", "telefone", "número de telefone", "номер телефону", "手机", "电话"),
    ),
    "operator": ("operator", "оператор", "код оператора"),
    "tag": ("tag", "тег", "метка"),
    "timezone": ("timezone", "time zone", "timezone id", "demographic timezone", "tz", "часовой пояс", "zeitzone"),
    "opted_out": (
        "opted out",
        "optout",
        "opt out",
        "unsubscribed",
        "sms unsubscribed",
        "отписан",
        "отписка",
        "abgemeldet",
    ),
}
# Columns that say the opposite.
SUBSCRIBED = ("subscribed", "opted in", "opt in", "подписан", "endpointstatus", "endpoint status")
# Of an export of ours; they say what was, not what is to be.
IGNORED = frozenset({"id", "created at", "updated at"})
_MAX_NAME, _MOST_LEFT_OUT = 80, 50  # characters, and columns, that are told
_CHANNEL = ("channeltype", "channel type")

_YES = "true yes 1 1.0 y t on да д истина wahr ja vrai oui verdadero sí si sim vero tak ano так all x"
_NO = "false no 0 0.0 n f off нет н ложь falsch nein faux non falso não nao ні nie ne none active"
_NOTHING = frozenset({"", "-", "—", "n/a", "na", "nan", "nil", "null", "#n/a"})
_OUT = ("opted out", "opted_out", "optedout", "unsubscribed", "stop", "отписан", "inactive")
_IN = ("opted in", "opted_in", "optedin", "subscribed", "подписан")
FLAGS: Mapping[str, bool] = {
    **dict.fromkeys((*_YES.split(), *_OUT), True),
    **dict.fromkeys((*_NO.split(), *_IN), False),
}
# Of a column that says who is subscribed: these words say so.
_SUBSCRIBED_FLAGS: Mapping[str, bool] = {
    **{word: not out for word, out in FLAGS.items() if word not in (*_OUT, *_IN, "active", "all", "none")},
    **dict.fromkeys((*_OUT, "none"), True),
    **dict.fromkeys((*_IN, "active", "all"), False),
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each field stands, by its place in the row, and what is left out."""

    names: Sequence[str]
    places: Mapping[str, int]
    subscribed: Sequence[int] = ()  # that say the opposite of opted_out
    channel: int | None = None
    left_out: Sequence[str] = ()
    header: Sequence[str] = ()

    @property
    def by_field(self) -> dict[str, str]:
        """The name of each field's column, as the file has it."""
        return {field: self.header[place].strip() for field, place in self.places.items()}

    def values(self, cells: Sequence[str]) -> dict[str, str]:
        """What a row says of each field."""
        return {field: cells[place] for field, place in self.places.items() if place < len(cells)}

    def is_of_other_channel(self, cells: Sequence[str]) -> bool:
        """Whether a row of Pinpoint is no phone number, but an address of mail or push."""
        place = self.channel
        return place is not None and place < len(cells) and cells[place].strip().upper() not in ("SMS", "VOICE", "")

    def opted_out(self, cells: Sequence[str]) -> bool | None:
        """Whether a row opts out by any of its columns, None if it says nothing. Raises Invalid for unknown words."""
        place = self.places.get("opted_out")
        told = [flag_of(cells[place], FLAGS)] if place is not None and place < len(cells) else []
        told += [flag_of(cells[one], _SUBSCRIBED_FLAGS) for one in self.subscribed if one < len(cells)]
        said = [one for one in told if one is not None]
        return any(said) if said else None


def flag_of(cell: str, words: Mapping[str, bool]) -> bool | None:
    """What a cell says, None if it is empty. Raises Invalid if it is no word for yes or no."""
    word = cell.strip().strip("'").strip().lower()
    if word in _NOTHING:
        return None
    if word not in words:
        raise Invalid.of("opted_out", Fault.NOT_A_FLAG_IN_A_FILE, value=repr(cell.strip()[:40]))
    return words[word]


def columns_of(header: Sequence[str]) -> Columns:
    """Which column is what. Raises Invalid if none has numbers, or two columns have the same name of ours."""
    names = [_plain(name) for name in header]
    while names and not names[-1]:
        names.pop()
    ours = [name.replace("_", " ") for name in CLIENT_FIELDS]
    errors = [
        FieldError("header", Fault.COLUMN_TWICE, {"name": name.replace(" ", "_")})
        for name in ours
        if names.count(name) > 1
    ]
    places = {field: place for field, known in NAMES.items() if (place := _first(names, known)) is not None}
    if "phone_number" not in places:
        errors.append(FieldError("header", Fault.NO_PHONE_NUMBER_COLUMN, {"names": ", ".join(CLIENT_FIELDS)}))
    if errors:
        raise Invalid(*errors)
    subscribed = [place for place, name in enumerate(names) if name in SUBSCRIBED]
    channel = _first(names, _CHANNEL)
    used = {*places.values(), *subscribed, channel}
    left_out = [
        header[place].strip()[:80] for place, name in enumerate(names) if place not in used and name not in IGNORED
    ]
    return Columns(names, places, subscribed, channel, [name for name in left_out if name], header)


def _first(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _plain(name: str) -> str:
    return re.sub(r"[\s_.\-:]+", " ", name.strip("\ufeff'\"")).strip().lower()
