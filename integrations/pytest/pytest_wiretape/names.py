"""What a test's session and folder are called, whatever signs the test's own name has."""

from __future__ import annotations

import hashlib
import re

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_MOST_PARTS = 10
_DIGEST = 6
_CUT = 80


def folder_of(nodeid: str) -> str:
    """The folder of a test's recordings, below that of all.

    >>> folder_of("tests/test_cart.py::TestPay::test_pays[gpt-4o]")
    'tests/test_cart/TestPay/test_pays-gpt-4o'

    What cannot be in a folder's name is left out, and a digest tells it from others like it.
    """
    path, _, name = nodeid.partition("::")
    # An id in brackets may hold any of the signs that part names.
    functions, bracket, given = name.partition("[")
    parts = [*re.sub(r"\.py$", "", path).split("/"), *filter(None, functions.split("::"))]
    parts[-1] += bracket + given
    if len(parts) > _MOST_PARTS:
        parts = ["/".join(parts[: 1 - _MOST_PARTS]), *parts[1 - _MOST_PARTS :]]
    return "/".join(map(_part, parts))


def _part(name: str) -> str:
    plain = re.sub(r"\A([A-Za-z0-9_]+)\[([A-Za-z0-9_-]+)\]\Z", r"\1-\2", name)
    if _PART.fullmatch(plain):
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    start = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:_CUT]
    return f"{start}-{digest}" if start else digest
