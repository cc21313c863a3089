"""Chances that come out the same every time: a number for each place in a named sequence."""

import hashlib


def draw(sequence: str, number: int) -> float:
    """The number at a place of a sequence, from 0 up to 1; any text names a sequence."""
    digest = hashlib.blake2b(f"{sequence}:{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
