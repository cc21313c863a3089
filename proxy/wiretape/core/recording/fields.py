"""Read the members of an untrusted JSON object, checking each."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from wiretape.core.errors import FormatError
from wiretape.core.text import exact_json

type SideFile = Callable[[str], bytes]
"""Reads a side file by its name; raises FormatError if it cannot be read."""

MAX_SECONDS: Final = 7 * 24 * 3600.0

_KINDS: Final[dict[type, str]] = {dict: "an object", list: "a list", str: "text", bool: "a boolean"}


class Members:
    """An object of a document, and where it is ("response.body[3]"); a wrong member raises a
    FormatError that names it.

    >>> Members({"status": "OK"}, "response").get("status", int, "an HTTP status")
    Traceback (most recent call last):
    wiretape.core.errors.FormatError: response.status: expected an HTTP status, got text
    """

    def __init__(self, values: Mapping[str, Any], where: str = "") -> None:
        self.values: Final = values
        self.where: Final = where

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def wrong(self, key: str, expected: str, *, show: bool = False) -> FormatError:
        """The error for a member; `show` its value only if that cannot be a secret or a body."""
        return _fault(self._path(key), expected, self.values.get(key), show)

    def _path(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key

    def unlike(self, expected: str) -> FormatError:
        """The error for an object without any of the members it should have."""
        names = ", ".join(self.values) or "none"
        return FormatError(f"{self.where}: expected {expected}, got the members {names:.60}")

    def get(self, key: str, kind: type, expected: str) -> Any:
        """A member of a type; a boolean does not count as a number."""
        value = self.values.get(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.wrong(key, expected)
        return value

    def object(self, key: str) -> "Members":
        """A member that is an object."""
        return Members(self.get(key, dict, "an object"), self._path(key))

    def objects(self, key: str, expected: str) -> "list[Members]":
        """A member that is a list of objects."""
        items = []
        for number, item in enumerate(self.get(key, list, expected)):
            path = f"{self._path(key)}[{number}]"
            if not isinstance(item, dict):
                raise _fault(path, "an object", item)
            items.append(Members(item, path))
        return items

    def text(self, key: str, expected: str = "text") -> str:
        """A member that is a string."""
        return cast(str, self.get(key, str, expected))

    def encoded(self, key: str) -> bytes:
        """A string as UTF-8; lone surrogates are encoded like other characters."""
        return self.text(key).encode("utf-8", "surrogatepass")

    def base64(self, key: str) -> bytes:
        """The bytes of a base64 member."""
        text = self.text(key, "base64 text")
        try:
            return base64.b64decode(text.encode(), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise self.wrong(key, "base64 text") from None

    def file(self, key: str, read: SideFile | None) -> bytes:
        """The bytes of a side file that a member names."""
        name = self.text(key, "the name of a side file")
        if read is None:
            raise self.wrong(key, "a body in the file itself")
        return read(name)

    def seconds(self, key: str) -> float | None:
        """A time, at most a week; None if it is absent."""
        value = self.values.get(key)
        if value is None:
            return None
        # Compared before conversion: an integer of 400 digits has no float. NaN fails the range.
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.wrong(key, "a number of seconds")
        if not 0 <= value <= MAX_SECONDS:
            raise self.wrong(key, "seconds between 0 and a week")
        return float(value)

    def style(self, key: str, default: str = "compact") -> str:
        """The name of a JSON style."""
        style = self.values.get(key, default)
        if not exact_json.is_style(style):
            raise self.wrong(key, "a JSON style such as 'compact' or 'spaced+ascii'", show=True)
        return cast(str, style)


def _fault(path: str, expected: str, got: object, show: bool = False) -> FormatError:
    if got is None:
        shown = "nothing"
    elif isinstance(got, str) and show:
        shown = f"{got[:40]!r}"
    else:
        shown = _KINDS.get(type(got)) or f"{got!r:.40}"
    return FormatError(f"{path}: expected {expected}, got {shown}")
