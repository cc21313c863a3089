"""Values that know the lines they were read from, and problems that name a location."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

MAX_BYTES: Final = 1 << 20
"""The longest document that is read."""

type Location = tuple[str | int, ...]
"""The path to a value: ("redact", "patterns", 0, "regex")."""

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_*.-]{1,80}")


class NotYaml(ValueError):
    """A text is not a YAML document that wiretape reads; `line` and `column` count from 1."""

    def __init__(self, text: str, line: int, column: int = 1) -> None:
        super().__init__(text)
        self.line: Final = line
        self.column: Final = column


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with the value at a location; `text` says what was expected."""

    line: int
    location: Location
    text: str

    def __str__(self) -> str:
        where = dotted(self.location)
        return f"{where}: {self.text}" if where else self.text


@dataclass(frozen=True, slots=True)
class Tree:
    """A document's value (dicts, lists, text, numbers, booleans, None) and the line of each
    location in it. A value with a problem is None in `value`.
    """

    value: Any
    lines: dict[Location, int]
    problems: tuple[Problem, ...]

    def line(self, location: Location) -> int:
        """The line of a location, or of the nearest one around it."""
        return self.lines[self.nearest(location)]

    def nearest(self, location: Location) -> Location:
        """A location, or the nearest one around it that the document has."""
        while location not in self.lines:
            location = location[:-1]
        return location


def dotted(location: Location) -> str:
    """Write a location as a person does.

    >>> dotted(("redact", "patterns", 0, "regex"))
    'redact.patterns[0].regex'
    """
    text = ""
    for step in location:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if _PLAIN_KEY.fullmatch(step) else json.dumps(step[:40])
            text += f".{name}" if text else name
    return text
