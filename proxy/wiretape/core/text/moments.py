"""Dates and times as programs and people write them in English: what finds one, and a text as it
would be on another day.

`FORMS` are regular expressions that RE2 understands too, so a rule can be made of one.
"""

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

_WEEKDAY_NAMES: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
_WEEKDAYS: Final = _WEEKDAY_NAMES.split()
_MONTH_NAMES: Final = """
    January February March April May June July August September October November December
"""
_MONTHS: Final = _MONTH_NAMES.split()

_WEEKDAY: Final = f"(?:{'|'.join(name[:3] for name in _WEEKDAYS)})[a-z]{{0,6}}"
_MONTH: Final = f"(?:{'|'.join(name[:3] for name in _MONTHS)})[a-z]{{0,6}}"
_CLOCK: Final = (
    r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?(?: ?[AaPp]\.?[Mm]\.?)?"
    r"(?: ?(?:[Zz]|(?:UTC|GMT)?[+-][0-9]{2}:?[0-9]{2}|UTC|GMT|[A-Z]{2,4}T))?"
)
_DAY: Final = "[0-9]{1,2}(?:st|nd|rd|th)?"

FORMS: Final = (
    f"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[Tt ]{_CLOCK}",
    "[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}",
    f"{_WEEKDAY},? {_MONTH} +{_DAY},? {_CLOCK} [0-9]{{4}}",
    f"(?:{_WEEKDAY},? )?{_MONTH} +{_DAY},? [0-9]{{4}}(?:(?:,| at)? {_CLOCK})?",
    f"(?:{_WEEKDAY},? )?{_DAY} {_MONTH},? [0-9]{{4}}(?:(?:,| at)? {_CLOCK})?",
    f"{_WEEKDAY},? {_MONTH} +{_DAY}",
    f"[0-9]{{1,2}}[/.][0-9]{{1,2}}[/.][0-9]{{4}}(?:,? {_CLOCK})?",
    _CLOCK,
)
"""A day with a time, a day, `date`'s and ctime's, "November 29, 2026", "29 November 2026",
"Sunday, November 29", "29/11/2026", a time: the longer before what it begins with.
"""

# After a hyphen it is the end of a model's name (gpt-4o-2024-08-06).
_ANY: Final = re.compile(rf"(?<![0-9A-Za-z-])(?:{'|'.join(FORMS)})(?![0-9A-Za-z])")


def moments(text: str) -> list[tuple[int, int]]:
    """Where dates and times stand in a text.

    >>> text = "It is Sunday, November 29, 2026, 14:03 UTC."
    >>> [text[start:end] for start, end in moments(text)]
    ['Sunday, November 29, 2026, 14:03 UTC']
    """
    return [match.span() for match in _ANY.finditer(text)]


def form_of(*texts: str) -> str | None:
    """The first of `FORMS` that all texts have, each as a whole."""
    return next((form for form in FORMS if all(re.fullmatch(form, text) for text in texts)), None)


def on_another_day(text: str, day: date, other: date) -> str:
    """A text that names a day, however it spells it, as one that names another.

    >>> on_another_day("Sun Nov 29 10:00 2026", date(2026, 11, 29), date(2026, 12, 8))
    'Tue Dec 8 10:00 2026'
    """
    spellings: dict[str, str] = {}
    for spelling, moved in zip(_spellings(day), _spellings(other), strict=True):
        spellings.setdefault(spelling, moved)
    longest_first = sorted(spellings, key=len, reverse=True)
    any_of = re.compile(rf"(?<![0-9A-Za-z-])(?:{'|'.join(map(re.escape, longest_first))})(?![0-9])")
    return any_of.sub(lambda match: spellings[match[0]], text)


def _spellings(day: date) -> Iterator[str]:
    """The same spellings of any day, in one order. Some days have two that are alike, as May has:
    then the first counts.
    """
    year, month, number = day.year, day.month, day.day
    for separator in "-/":
        yield f"{year}{separator}{month:02}{separator}{number:02}"
    for separator in "/.":
        for first, second in ((month, number), (number, month)):
            yield f"{first:02}{separator}{second:02}{separator}{year}"
            yield f"{first}{separator}{second}{separator}{year}"
    weekday, name = _WEEKDAYS[day.weekday()], _MONTHS[month - 1]
    for month_name in (name, name[:3]):
        for comma in (",", ""):
            yield f"{month_name} {number}{comma} {year}"
            yield f"{number} {month_name}{comma} {year}"
        for weekday_name in (f"{weekday},", f"{weekday[:3]},", weekday, weekday[:3]):
            yield f"{weekday_name} {month_name} {number}"
            yield f"{weekday_name} {month_name} {number:2}"
            for comma in (",", ""):
                yield f"{weekday_name} {month_name} {number}{comma} {year}"
                yield f"{weekday_name} {number} {month_name}{comma} {year}"
