"""Make one report of those that the replicas of a run wrote."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from .report import EXIT_MISS, EXIT_REFUSED

type _Document = dict[str, Any]

_ADDED_UP: Final = frozenset(("cost", "other_hosts", "stale", "unpriced"))
"""Members whose items of one name are made one item, with their numbers added."""


def merged(documents: Sequence[_Document]) -> _Document:
    """Add up the documents of `--report`; ValueError if one is not a report.

    >>> one = {"wiretape_report": 1, "mode": "replay", "counts": {"missed": 1}, "notices": ["x"]}
    >>> merged([one, one])
    {'wiretape_report': 1, 'mode': 'replay', 'counts': {'missed': 2}, 'notices': ['x']}
    """
    result: _Document = {}
    for document in documents:
        if not isinstance(document, dict) or document.get("wiretape_report") != 1:
            raise ValueError("not what `--report FILE` writes, or of another version")
        result = _sum(result, document)
    return {**result, "wiretape_report": 1} if result else result


def exit_status(document: _Document) -> int:
    """Give the exit status of a run with this report, apart from its CMD's."""
    counts = document.get("counts", {})
    if counts.get("refused") or document.get("unserved"):
        return EXIT_REFUSED
    missed = counts.get("missed") or (document.get("mode") == "replay" and counts.get("failed"))
    return EXIT_MISS if missed else 0


def _sum(first: _Document, second: _Document) -> _Document:
    result = dict(first)
    for name, value in second.items():
        before = result.get(name)
        if before is None:
            result[name] = value
        elif name == "command_status":
            result[name] = max(before, value)
        elif isinstance(value, bool):
            result[name] = before or value
        elif isinstance(value, str):
            result[name] = _money(before, value) if name == "amount" else before
        elif isinstance(value, dict):
            result[name] = _sum(before, value)
        elif isinstance(value, list):
            result[name] = _lists(name, before, value)
        elif value is not None:
            result[name] = before + value
    return result


def _money(first: str, second: str) -> str:
    return f"{(Decimal(first) + Decimal(second)).normalize():f}"


def _lists(name: str, first: list[Any], second: list[Any]) -> list[Any]:
    if name == "notices":
        return list(dict.fromkeys([*first, *second]))
    if name not in _ADDED_UP:
        return [*first, *second]
    items: dict[tuple[tuple[str, str], ...], _Document] = {}
    for item in (*first, *second):
        texts = ((key, text) for key, text in item.items() if isinstance(text, str))
        identity = tuple(pair for pair in texts if pair[0] != "amount")
        items[identity] = _sum(items.get(identity, {}), item)
    return list(items.values())
