"""Answers that depend on the moment and not on the request."""

from typing import Final

OUTAGES: Final = frozenset((401, 403, 407, 408, 425, 429))
"""Statuses that depend on a key or the moment, besides 5xx."""


def is_outage(status: int) -> bool:
    """Whether an answer of this status depends on the moment and not on the request."""
    return status in OUTAGES or status >= 500
