"""Answers that tell of the moment they were given in."""

from typing import Final

OUTAGES: Final = frozenset((401, 403, 407, 408, 425, 429))
"""Answers that tell of a key or a moment and not of the request; 5xx are the same."""


def is_outage(status: int) -> bool:
    """Whether an answer tells of the moment it was given in, and not of what was asked."""
    return status in OUTAGES or status >= 500
