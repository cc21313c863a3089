"""Read an age as people write it: 90d, 12h."""

import re
from datetime import timedelta
from typing import Final

AGE: Final = re.compile(r"(?:older-than[:=])?(\d{1,5})([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_age(text: str) -> timedelta:
    """Read an age such as 90d, 12h or 2w; raises ValueError for anything else.

    >>> parse_age("2w")
    datetime.timedelta(days=14)
    """
    match = AGE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r}: expected an age such as 90d, 12h or 2w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
