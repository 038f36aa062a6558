"""The number plans of all countries, from the tables of `phonenumbers`, but ten times as fast for plain numbers.

The library parses a number again for each question, and an import asks about a hundred thousand numbers, mostly plain
ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phonenumbers import PhoneMetadata
    from phonenumbers.phonemetadata import PhoneNumberDesc

_KINDS = (
    *("premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail"),
    *("fixed_line", "mobile"),
)
_WIDEST = 3  # digits of a country's code


@dataclass(frozen=True, slots=True)
class _Kind:
    """The pattern of one kind of numbers."""

    pattern: re.Pattern[str]
    lengths: frozenset[int]

    def has(self, national: str) -> bool:
        return (not self.lengths or len(national) in self.lengths) and self.pattern.fullmatch(national) is not None


@dataclass(frozen=True, slots=True)
class _Region:
    """The plan of one of the countries that share a code."""

    leading: re.Pattern[str] | None  # with which its numbers begin, and no other numbers of the code
    all_kinds: _Kind | None
    kinds: tuple[_Kind, ...]

    def has(self, national: str) -> bool:
        return bool(self.all_kinds and self.all_kinds.has(national)) and any(kind.has(national) for kind in self.kinds)


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a country code."""

    code: str
    regions: tuple[_Region, ...]
    mobile: _Kind | None
    # How many digits follow the code, in its main country, and how many may be dialled inside the country.
    lengths: frozenset[int]
    at_home: frozenset[int]
    prefix: re.Pattern[str] | None  # what is dialled before numbers inside the country

    def is_plain(self, national: str) -> bool:
        """Whether the digits after the code have one meaning only: none of them is dialled only inside the country."""
        return not (self.prefix and self.prefix.match(national))

    def has(self, national: str) -> bool:
        """Whether a plain number exists."""
        for region in self.regions:
            if region.leading is None and region.has(national):
                return True
            if region.leading and region.leading.match(national):
                return region.has(national)
        return False

    def has_mobile(self, national: str) -> bool:
        """Whether it is a mobile number of the code's main country, and can be nothing else."""
        return self.is_plain(national) and self.mobile is not None and self.mobile.has(national)


def split(number: str) -> tuple[Plan, str] | None:
    """The plan of a number in E.164 form, and the digits after its code; None if there is no such code."""
    for length in range(1, _WIDEST + 1):
        plan = plan_of(number[1 : 1 + length])
        if plan:
            return plan, number[1 + length :]
    return None


@lru_cache(maxsize=1024)
def plan_of(code: str) -> Plan | None:
    """The plan of a country code; None if there is no such code."""
    import phonenumbers

    names = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code), ())
    plans = [phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(int(code), name) for name in names]
    regions = [_region(plan, alone=len(plans) == 1) for plan in plans if plan and plan.general_desc]
    first = plans[0] if plans else None
    if first is None or first.general_desc is None:
        return None
    return Plan(
        code=code,
        regions=tuple(regions),
        mobile=_kind(first.mobile),
        lengths=frozenset(first.general_desc.possible_length),
        at_home=frozenset(first.general_desc.possible_length_local_only),
        prefix=re.compile(first.national_prefix_for_parsing) if first.national_prefix_for_parsing else None,
    )


def _region(plan: PhoneMetadata, *, alone: bool) -> _Region:
    leading = re.compile(plan.leading_digits) if plan.leading_digits and not alone else None
    kinds = [_kind(getattr(plan, name)) for name in _KINDS]
    return _Region(leading, _kind(plan.general_desc), tuple(kind for kind in kinds if kind))


def _kind(kind: PhoneNumberDesc | None) -> _Kind | None:
    """The pattern of a kind of numbers, None if there are no such numbers."""
    if kind is None or not kind.national_number_pattern:
        return None
    return _Kind(re.compile(kind.national_number_pattern), frozenset(kind.possible_length))
