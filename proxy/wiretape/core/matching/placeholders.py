"""Compare placeholders: which of them stand for equal values.

A placeholder's label does not count, since recordings of earlier versions name the location of the
value. Its digest counts, as the value would, unless

- the request carried the value as a credential, or its label says that it was one: any key is as
  good as another, be it a dummy or a placeholder;
- the value fits one of the shipped patterns: it is a key, too.

Within base64 and hexadecimal digits placeholders are compared in the same way.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Final

from wiretape.core.recording.document import Document
from wiretape.core.redaction.key_patterns import PATTERNS
from wiretape.core.redaction.placeholder import SECRET, WITH_DIGEST, is_encoded_in, label
from wiretape.core.redaction.rules import SECRET_HEADERS, SECRET_QUERY

ANY: Final = "*"
"""Among the digests that a request carried: all of them."""

_RUN: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_FRAME: Final = frozenset(("method", "body_json", "body_file", "carried", "endpoint", "ids"))

_LABELS: Final = frozenset(
    (
        *("authorization-password", "authorization-user", "userinfo", SECRET),
        *(label(name) for name in SECRET_HEADERS),
        *(f"{kind}-{label(name)}" for kind in ("query", "form") for name in SECRET_QUERY),
        *(label(pattern.name) for pattern in PATTERNS),
    )
)
"""Labels that placeholders without a digest have had."""


class Placeholders:
    """Compares placeholders; of those with a label in `distinct` (the user's own patterns and
    locations, which may find more than keys: an e-mail address) the digest counts.
    """

    def __init__(self, distinct: Iterable[str] = ()) -> None:
        self._distinct = frozenset(distinct)

    @cached_property
    def _bare(self) -> re.Pattern[str]:
        # Few requests hold a placeholder, and compiling this takes a moment at each start.
        labels = sorted({*_LABELS, *self._distinct}, key=len, reverse=True)
        return re.compile(rf"REDACTED-(?:{'|'.join(map(re.escape, labels))})(?![a-z0-9])")

    def named(self, carried: Iterable[str]) -> Callable[[re.Match[str]], str]:
        """What stands for a placeholder where labels count, as in the names of files."""
        keeps_digest = self._keeps_digest(frozenset(carried))
        return lambda match: match[0] if keeps_digest(match) else f"REDACTED-{match[1]}"

    def _keeps_digest(self, carried: frozenset[str]) -> Callable[[re.Match[str]], bool]:
        def keeps_digest(match: re.Match[str]) -> bool:
            if match[1] in self._distinct:
                return match[2] not in carried
            return match[1] == SECRET and match[2] not in carried and ANY not in carried

        return keeps_digest

    def neutral(self, request: Document) -> Document | None:
        """A `request` part in which placeholders for equal values are the same; None where it has
        none that differ.
        """
        carried = frozenset(carried_by(request))
        keeps_digest = self._keeps_digest(carried)

        def text(value: str) -> str:
            if "REDACTED-" in value:
                # Those with a digest are done before: a label may begin like one of them.
                value = self._bare.sub(
                    f"REDACTED-{SECRET}", _aside(WITH_DIGEST, keeps_digest, value)
                )
                value = value.replace("\0REDACTED-", "REDACTED-")
            return _RUN.sub(run, value) if is_encoded_in(value) else value

        def run(match: re.Match[str]) -> str:
            return _encoded(match[0], text) if is_encoded_in(match[0]) else match[0]

        def values(value: Any) -> Any:
            if isinstance(value, str):
                return text(value)
            if isinstance(value, list):
                return [values(item) for item in value]
            if isinstance(value, dict):
                return {text(name): values(item) for name, item in value.items()}
            return value

        result = {name: item if name in _FRAME else values(item) for name, item in request.items()}
        return None if result == request else result


def carried_by(request: Document) -> list[str]:
    """The digests of what a request carried as credentials; a file may have been edited by hand."""
    carried = request.get("carried")
    if not isinstance(carried, list):
        return []
    return [digest for digest in carried if isinstance(digest, str)]


def _aside(
    pattern: re.Pattern[str], keeps_digest: Callable[[re.Match[str]], bool], value: str
) -> str:
    """`value` with placeholders that have a digest put aside behind a NUL."""

    def instead(match: re.Match[str]) -> str:
        return f"\0REDACTED-{SECRET}-{match[2]}" if keeps_digest(match) else f"\0REDACTED-{SECRET}"

    return pattern.sub(instead, value)


def _encoded(run: str, text: Callable[[str], str]) -> str:
    """Base64 or hexadecimal digits in which placeholders that say the same are the same."""
    digits = run.rstrip("=")
    if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", digits):
        return (
            text(bytes.fromhex(digits).decode("utf-8", "surrogateescape"))
            .encode("utf-8", "surrogateescape")
            .hex()
        )
    standard = digits.translate(str.maketrans("-_", "+/"))
    for start in range(4):
        part = standard[start:]
        part += "=" * (-len(part) % 4)
        try:
            data = base64.b64decode(part)
        except binascii.Error:
            continue
        if b"REDACTED-" in data:
            plain = text(data.decode("utf-8", "surrogateescape"))
            again = base64.b64encode(plain.encode("utf-8", "surrogateescape")).decode()
            return run[:start] + again
    return run
