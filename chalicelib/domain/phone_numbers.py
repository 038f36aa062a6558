"""Phone numbers as people and programs write them: each becomes one number in E.164 form, or a specific error.

Nothing is guessed. The library is loaded at the first number, because the sender needs none.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from .errors import Invalid
from .faults import Fault
from .number_plans import Plan, plan_of, split

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

MAX_LENGTH = 100  # characters
_PLUS = "+\uff0b\ufe62\u207a"
_QUOTES = "'\u2019\u2018`\u00b4\""
_DASHES = "-\u2212"
_FORMULA = re.compile(r'="(.*)"')
_SCHEME = re.compile(r"(?:tel|sms|smsto|callto|whatsapp):(?://)?", re.IGNORECASE)
_CONTEXT = re.compile(r";phone-context=(\+[0-9]+)$", re.IGNORECASE)
_SCIENTIFIC = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+")
_FLOAT = re.compile(r"(\+?[0-9]{7,})[.,]0{1,2}")  # as pandas writes whole numbers
_SEPARATOR = re.compile(r"[,;/|\n:]+|\s\s+|\b(?:or|and|и|или)\b", re.IGNORECASE)
_EXTENSION = re.compile(
    r"(?<=[0-9)])\s*(?:,+|;|,?\s*\(?(?:;?ext[:=.]?|extension|x|доб\.?|доп\.?|вн\.?|#|p|w|durchwahl|poste|anexo|ramal)\s*[:.=]?)"
    r"\s*[0-9]{1,6}#?\)?",
    re.IGNORECASE,
)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_TRUNK = re.compile(r"\(\s*0\s*\)")
# Without a plus these may be mobile numbers of China or Germany, or numbers of North America, or begin with a prefix
# that is dialled inside Russia or Belarus.
_OF_TWO_COUNTRIES = re.compile(r"1[3-9][0-9]{9}|80[0-9]{9}")
_ALLOWED = re.compile(r"\+?[0-9() .\-/]+")
_RUSSIAN = re.compile(r"[78][0-9]{10}")
_OF_FILMS = re.compile(r"\+447700900[0-9]{3}")
_SIGNS = str.maketrans("", "", " ()-\u00a0")
_BLANKS = str.maketrans("\t\r", "  ")
_NO_DIGIT = re.compile(r"[^0-9]")
_SHORTEST = 7  # digits of a number, when a text may have two
_COUNTRY = re.compile(r"[A-Z]{2}")


def normalize_phone(text: str, country: str = "") -> str:
    """The number in E.164 form, such as +79161234567. It exists in its country's plan.

    `country` (ISO 3166, two letters) is for numbers without a country code. Without it such a number is refused, unless
    it is Russian (11 digits that begin with 7 or 8) or consists of the digits of an international number. Raises
    Invalid, which says what the text is instead and what to do.
    """
    return _normalized(text, country)


def check_shape(text: str) -> str:
    """Return the text. Raises Invalid if it cannot be a number in any country."""
    cleaned(text)
    return text


@lru_cache(maxsize=2048)
def _normalized(text: str, country: str) -> str:
    if country:
        check_country(country)
    quick = _quick(text, country)
    if quick:
        return quick
    if _E164.fullmatch(text):
        return _international(text)
    written = cleaned(text)
    return _international(written) if written.startswith("+") else _national(written, country)


def check_country(country: str) -> str:
    """Return the code of a country. Raises Invalid if there is no such country."""
    import phonenumbers

    if not _COUNTRY.fullmatch(country) or country not in phonenumbers.SUPPORTED_REGIONS:
        raise Invalid.of("country", Fault.COUNTRY)
    return country


def cleaned(text: str) -> str:
    """The number itself: digits, brackets and separators, and a plus before them if there is one.

    Raises Invalid, which says what the text is instead.
    """
    if len(text) > MAX_LENGTH:
        raise _refused(Fault.PHONE_NUMBER)
    written = (text.translate(_BLANKS) if text.isascii() else "".join(map(_plain, text))).strip()
    formula = _FORMULA.fullmatch(written)
    written = (formula[1] if formula else written).strip(_QUOTES + " ")
    if _SCIENTIFIC.fullmatch(written):
        raise _refused(Fault.PHONE_SCIENTIFIC)
    written = _without_scheme(written)
    whole = _FLOAT.fullmatch(written)
    written = whole[1] if whole else written
    _check_one(written)
    if "+" in written:
        written = re.sub(r"\(\s*\+\s*([0-9]+)\s*\)", r"+\1", written, count=1)
        written = re.sub(r"\+\s+", "+", written)
    if not _ALLOWED.fullmatch(written):
        raise _refused(Fault.PHONE_LETTERS if any(map(str.isalpha, written)) else Fault.PHONE_NUMBER)
    if not 4 <= len(_digits(written)) <= 20:
        raise _refused(Fault.PHONE_NUMBER)
    return written


def _digits(written: str) -> str:
    return _NO_DIGIT.sub("", written)


def _plain(character: str) -> str:
    """The ASCII form of a character; "" if it is invisible."""
    if character.isascii():
        return " " if character in "\t\r" else character
    if character in _PLUS:
        return "+"
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.digit(character))
    if kind == "Pd" or character in _DASHES:
        return "-"
    if kind in ("Zs", "Zl", "Zp"):
        return " "
    folded = unicodedata.normalize("NFKC", character)
    return "" if kind == "Cf" else folded if folded in ("(", ")", ".", "/", ",", ";") else character


def _without_scheme(written: str) -> str:
    """The number of an address such as tel:+79161234567 (RFC 3966)."""
    scheme = _SCHEME.match(written)
    if not scheme:
        return written
    written = written[scheme.end() :]
    context = _CONTEXT.search(written)
    if context:
        written = written[: context.start()]
        written = written if written.startswith("+") else context[1] + written
    return written


def _check_one(written: str) -> None:
    """Raises Invalid if there are two numbers, or an extension."""
    if len(_digits(written)) >= 2 * _SHORTEST:
        for parts in (_SEPARATOR.split(written), written.split()):
            if sum(len(_digits(part)) >= _SHORTEST for part in parts) > 1:
                raise _refused(Fault.PHONE_TWO_NUMBERS)
    if "+" in written[1:] and re.search(r"[0-9].*\+", written):
        raise _refused(Fault.PHONE_TWO_NUMBERS)
    if _EXTENSION.search(written):
        raise _refused(Fault.PHONE_EXTENSION)


def _international(written: str) -> str:
    """A number that begins with its country's code."""
    if _digits(written).startswith("00"):  # +007 and the like
        return _international("+" + _digits(written)[2:])
    if _TRUNK.search(written):  # a 0 that is dialled only inside a country, but belongs to some numbers of Italy
        read = (_parsed(_TRUNK.sub("", written), ""), _parsed(written, ""))
        return _e164(_chosen([number for number in read if number]))
    found = split(written) if _E164.fullmatch(written) else None
    if found and found[0].is_plain(found[1]):
        if found[0].has(found[1]) or _OF_FILMS.fullmatch(written):
            return written
        raise _invalid(*found)
    number = _parsed(written, "", valid=False)
    if number is None:
        raise _refused(Fault.PHONE_NUMBER)
    if not _is_valid(number):
        plan, national = split(_e164(number)) or (None, "")
        raise _invalid(plan, national) if plan else _refused(Fault.PHONE_DOES_NOT_EXIST, code=f"+{number.country_code}")
    return _e164(number)


def _national(written: str, country: str) -> str:
    """A number without a plus."""
    digits = _digits(written)
    if country:
        read = [_parsed(written, country), _parsed("+" + digits, "") if _begins_with(digits, country) else None]
        if any(read):
            return _e164(_chosen([number for number in read if number]))
    if digits.startswith("00"):
        return _international("+" + digits[2:])
    if digits.startswith("810") and country in ("", "RU") and len(digits) > 12:  # the Russian prefix for calls abroad
        return _international("+" + digits[3:])
    if _RUSSIAN.fullmatch(digits) and country in ("", "RU"):
        plan, national = plan_of("7"), digits[1:]
        if plan and plan.is_plain(national):
            if plan.has(national):
                return "+7" + national
        elif number := _parsed("+7" + national, ""):
            return _e164(number)
        if digits.startswith("7"):
            return _international("+" + digits)
    if digits == written and len(digits) in range(11, 16) and not _OF_TWO_COUNTRIES.fullmatch(digits):
        return _international("+" + digits)
    raise _refused(Fault.PHONE_NOT_OF_COUNTRY, country=country) if country else _refused(Fault.PHONE_NO_COUNTRY)


def _begins_with(digits: str, country: str) -> bool:
    """Whether the digits may begin with the country's own code."""
    import phonenumbers

    return digits.startswith(str(phonenumbers.country_code_for_region(country)))


def _chosen(numbers: list[PhoneNumber]) -> PhoneNumber:
    """The one possible number, or the mobile one of two. Raises Invalid if neither decides."""
    import phonenumbers

    by_text = {_e164(number): number for number in numbers}
    if not by_text:
        raise _refused(Fault.PHONE_NUMBER)
    kinds = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    mobiles = [number for number in by_text.values() if phonenumbers.number_type(number) in kinds]
    left = mobiles if len(by_text) > 1 else list(by_text.values())
    if len(left) != 1:
        raise _refused(Fault.PHONE_TWO_READINGS, numbers=" / ".join(by_text))
    return left[0]


def _parsed(written: str, country: str, *, valid: bool = True) -> PhoneNumber | None:
    """The number, None if it is not one, or (with `valid`) does not exist in its country's plan."""
    import phonenumbers

    try:
        number = phonenumbers.parse(written, country or None)
    except phonenumbers.NumberParseException:
        return None
    return number if not valid or _is_valid(number) else None


def _is_valid(number: PhoneNumber) -> bool:
    import phonenumbers

    # Ofcom reserves these for films; the sandbox uses them as test numbers (docs/gateways.md).
    if number.country_code == 44 and _OF_FILMS.fullmatch(_e164(number)):
        return True
    return bool(phonenumbers.is_valid_number(number))


def _e164(number: PhoneNumber) -> str:
    import phonenumbers

    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _quick(text: str, country: str) -> str:
    """A mobile number that is written in one of the usual ways, "" for any other text.

    It gives the same result as the library, twenty times as fast, and most numbers of an import are like this.
    """
    plain = text.translate(_SIGNS)
    if country in ("", "RU") and _RUSSIAN.fullmatch(plain):
        plan = plan_of("7")
        return "+7" + plain[1:] if plan and plan.has_mobile(plain[1:]) else ""
    if _E164.fullmatch(plain) and "(" not in text:
        found = split(plain)
        return plain if found and found[0].has_mobile(found[1]) else ""
    return ""


def _invalid(plan: Plan, national: str) -> Invalid:
    """What is wrong with an international number that does not exist, by the digits after its country's code."""
    code, length = f"+{plan.code}", len(national)
    if plan.code == "7" and length != 10:
        return _refused(Fault.RUSSIAN_PHONE_NUMBER)
    if length < min(plan.lengths) and length not in plan.at_home:
        return _refused(Fault.PHONE_TOO_SHORT, code=code)
    if length > max(plan.lengths):
        return _refused(Fault.PHONE_TOO_LONG, code=code)
    return _refused(Fault.PHONE_DOES_NOT_EXIST, code=code)


def _refused(fault: Fault, **values: object) -> Invalid:
    return Invalid.of("phone_number", fault, **values)
