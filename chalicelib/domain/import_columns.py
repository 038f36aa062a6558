"""Which column of a file is which field of a client, in the spellings of many programs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .attributes import PREFIX, attribute_for, column_attribute
from .clients import CLIENT_FIELDS
from .errors import FieldError, Invalid
from .faults import Fault

# For each field, names of columns, the preferred ones first, in the form of `_plain`.
NAMES: Mapping[str, Sequence[str]] = {
    "phone_number": (
        *(
            "mobile phone number",
            "phone number",
            "msisdn",
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
        *("traits phone", "context traits phone"),
    ),
    "operator": ("operator", "оператор", "код оператора"),
    "tag": ("tag", "тег", "метка"),
    # HubSpot calls it Record ID.
    "external_id": ("external id", "externalid", "record id", "внешний id", "внешний идентификатор"),
    "tags": ("tags", "теги", "метки"),
    "language": ("language", "demographic locale", "context locale", "язык", "sprache", "idioma", "langue"),
    "timezone": (
        *("timezone", "time zone", "timezone id", "demographic timezone", "context timezone", "tz", "часовой пояс"),
        "zeitzone",
    ),
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
# Columns with ids of users who may have several numbers. The first number gets it as its external id.
SHARED = "user_id"
# Columns that say the opposite of opted_out, and Pinpoint's column for the kind of address.
SUBSCRIBED, CHANNEL = "subscribed", "channel"
COLUMN_FIELDS = (*NAMES, SHARED, SUBSCRIBED, CHANNEL)
# The fields of a file for one mailing only. All its other columns are values that the mailing's text can use.
FIELDS_FOR_MAILING = ("phone_number", "language", "timezone", "opted_out", SUBSCRIBED, CHANNEL)
_SUBSCRIBED = ("subscribed", "opted in", "opt in", "подписан", "endpointstatus", "endpoint status")
# Columns of our own exports that an import ignores: they tell what was, not what should be.
REJECTED_COLUMNS = ("rejected_row", "problem")
IGNORED = frozenset({"id", "created at", "updated at", "rejected row", "problem"})
_MAX_NAME = 80  # characters of a name in an error
_MAX_HEADER = 50_000  # characters; an import keeps them in one item
_CHANNEL = ("channeltype", "channel type")
_SHARED = ("user userid", "userid", "external user id", "external userid")  # of Pinpoint, Segment, OneSignal

_YES = "true yes 1 1.0 y t on да д истина wahr ja vrai oui verdadero sí si sim vero tak ano так all x"
_NO = "false no 0 0.0 n f off нет н ложь falsch nein faux non falso não nao ні nie ne none active"
_NOTHING = frozenset({"", "-", "—", "n/a", "na", "nan", "nil", "null", "#n/a"})
_OUT = ("opted out", "opted_out", "optedout", "unsubscribed", "stop", "отписан", "inactive")
_IN = ("opted in", "opted_in", "optedin", "subscribed", "подписан")
FLAGS: Mapping[str, bool] = {
    **dict.fromkeys((*_YES.split(), *_OUT), True),
    **dict.fromkeys((*_NO.split(), *_IN), False),
}
# Words in a column for subscriptions.
_SUBSCRIBED_FLAGS: Mapping[str, bool] = {
    **{word: not out for word, out in FLAGS.items() if word not in (*_OUT, *_IN, "active", "all", "none")},
    **dict.fromkeys((*_OUT, "none"), True),
    **dict.fromkeys((*_IN, "active", "all"), False),
}


@dataclass(frozen=True, slots=True)
class Columns:
    """The place of each field in a row, and the columns that are left out."""

    header: Sequence[str]
    places: Mapping[str, int]
    subscribed: Sequence[int] = ()  # that say the opposite of opted_out
    channel: int | None = None
    ignored: frozenset[int] = frozenset()  # places of columns of our own exports
    repeated: Sequence[tuple[str, int]] = ()  # further columns of an attribute

    @property
    def names(self) -> dict[str, str]:
        """The field of each column, by its name in the file; "" if it is left out."""
        used = {place: field for field, place in (*self.places.items(), *self.repeated)} | dict.fromkeys(
            self.subscribed, SUBSCRIBED
        )
        if self.channel is not None:
            used[self.channel] = CHANNEL
        named = [(name, used.get(place, "")) for place, name in enumerate(self.header) if name]
        return dict(named) | {name: field for name, field in named if field}

    @property
    def left_out(self) -> list[str]:
        """The columns that match no field, without the further columns of our own exports."""
        return [name[:_MAX_NAME] for name, field in self.names.items() if not field and not is_ignored(name)]

    def is_blank(self, cells: Sequence[str]) -> bool:
        """Whether a row is empty, apart from the further columns of our own exports."""
        said = (cell for place, cell in enumerate(cells) if place not in self.ignored)
        return not any(cell.strip() for cell in said)

    def values(self, cells: Sequence[str]) -> dict[str, str]:
        """The value of each field in a row."""
        values = {field: cells[place] for field, place in self.places.items() if place < len(cells)}
        for field, place in self.repeated:
            if place < len(cells) and cells[place].strip():
                values[field] = ", ".join(cell for cell in (values.get(field, ""), cells[place]) if cell.strip())
        return values

    def is_of_other_channel(self, cells: Sequence[str]) -> bool:
        """Whether a row of Pinpoint is for e-mail or push instead of a phone number."""
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
    """What a cell says, None if it is empty. Raises Invalid if it is not a word for yes or no."""
    word = cell.strip().strip("'").strip().lower()
    if word in _NOTHING:
        return None
    if word not in words:
        raise Invalid.of("opted_out", Fault.NOT_A_FLAG_IN_A_FILE, value=repr(cell.strip()[:40]))
    return words[word]


def columns_told(texts: Sequence[str]) -> dict[str, str]:
    """The field for each column name, from texts such as `phone_number:Mobile`, or `:Plan` for a column to leave out.

    Raises Invalid if a text has another form, or names no field.
    """
    told: dict[str, str] = {}
    for text in texts:
        field, colon, name = text.partition(":")
        if not colon or not name.strip():
            raise Invalid.of("column", Fault.COLUMN_RULE)
        attribute = column_attribute(field) if field.startswith(PREFIX) else ""
        if field and field not in COLUMN_FIELDS and not attribute:
            raise Invalid.of("column", Fault.NOT_A_CHOICE, allowed=", ".join(COLUMN_FIELDS))
        told[name.strip()] = PREFIX + attribute if attribute else field
    return told


def columns_of(
    header: Sequence[str],
    told: Mapping[str, str] | None = None,
    *,
    all_there: bool = True,
    for_mailing: bool = False,
) -> Columns:
    """Which column is which field: as `told`, by the columns' names, and the others by their spelling.

    Raises Invalid if no column has phone numbers, if two columns match the same field, or if `told` names two columns
    for a field or (if `all_there`) a column that is not there.
    """
    columns, errors = proposed(header, told or {}, all_there=all_there, for_mailing=for_mailing)
    if "phone_number" not in columns.places:
        errors.append(FieldError("header", Fault.NO_PHONE_NUMBER_COLUMN, {"names": ", ".join(NAMES)}))
    if errors:
        raise Invalid(*errors)
    return columns


def proposed(
    header: Sequence[str], told: Mapping[str, str], *, all_there: bool = False, for_mailing: bool = False
) -> tuple[Columns, list[FieldError]]:
    """Which column is which field, and what is wrong with that. There may be no column with numbers yet.

    In a file `for_mailing` only, all columns are attributes that are none of FIELDS_FOR_MAILING.
    """
    usable = FIELDS_FOR_MAILING if for_mailing else COLUMN_FIELDS
    if sum(map(len, header)) > _MAX_HEADER:
        raise Invalid.of("header", Fault.CELL_TOO_LONG, most=_MAX_HEADER)
    header = [name.strip("\ufeff ").strip() for name in header]
    while header and not _plain(header[-1]):
        header.pop()
    fields, errors = _as_told(header, told, all_there)
    if wrong := [field for field in fields.values() if field and field not in usable and not field.startswith(PREFIX)]:
        errors.append(FieldError("column", Fault.NOT_A_CHOICE, {"allowed": ", ".join(usable)}))
        fields = {place: field for place, field in fields.items() if field not in wrong}
    free = ["" if place in fields else _plain(name) for place, name in enumerate(header)]
    ours = [name.replace("_", " ") for name in ("tag", *CLIENT_FIELDS)]
    errors += [
        FieldError("header", Fault.COLUMN_TWICE, {"name": name.replace(" ", "_")})
        for name in ours
        if free.count(name) > 1
    ]
    for field, known in (*NAMES.items(), (SHARED, _SHARED), (CHANNEL, _CHANNEL)):
        place = _first(free, known)
        if place is not None and field not in fields.values() and field in usable:
            fields[place] = field
    fields |= {place: SUBSCRIBED for place, name in enumerate(free) if name in _SUBSCRIBED}
    for place, name in enumerate(header):
        attribute = attribute_for(name) if for_mailing and not is_ignored(name) else _attribute_named(name)
        if place not in fields and attribute:
            fields[place] = attribute
    repeated: list[tuple[str, int]] = []
    places: dict[str, int] = {}
    for place, field in sorted(fields.items()):
        if field.startswith(PREFIX) and field in places:
            repeated.append((field, place))
        elif field in (*NAMES, SHARED) or field.startswith(PREFIX):
            places[field] = place
    subscribed = [place for place, field in fields.items() if field == SUBSCRIBED]
    channel = next((place for place, field in fields.items() if field == CHANNEL), None)
    ignored = frozenset(place for place, name in enumerate(header) if place not in fields and is_ignored(name))
    return Columns(
        header=header, places=places, subscribed=subscribed, channel=channel, ignored=ignored, repeated=repeated
    ), errors


def _attribute_named(column: str) -> str:
    name = column_attribute(column)
    return PREFIX + name if name else ""


def _as_told(
    header: Sequence[str], told: Mapping[str, str], all_there: bool
) -> tuple[dict[int, str], list[FieldError]]:
    """The field of each column that is told, the first one if several have its name, and what is wrong with that."""
    fields: dict[int, str] = {}
    errors: list[FieldError] = []
    for name, field in told.items():
        if name in header:
            if field and field != SUBSCRIBED and field in fields.values():
                errors.append(FieldError("header", Fault.FIELD_TWICE, {"name": field}))
            fields[header.index(name)] = field
        elif field and all_there:
            errors.append(FieldError("column", Fault.NO_SUCH_COLUMN, {"name": repr(name[:_MAX_NAME])}))
    return fields, errors


def is_field(name: str) -> bool:
    """Whether a column with this name is read as a field of a client."""
    return any(_plain(name) in known for known in NAMES.values())


def is_ignored(name: str) -> bool:
    """Whether a column is one that our own exports have besides a client's fields."""
    return _plain(name) in IGNORED


def _first(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _plain(name: str) -> str:
    return re.sub(r"[\s_.\-:]+", " ", name.strip("\ufeff'\"")).strip().lower()
