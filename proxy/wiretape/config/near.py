"""A hint at the name that was probably meant."""

from collections.abc import Iterable


def near(text: str, names: Iterable[str]) -> str:
    """Give a hint at the name that resembles `text` most; the empty string if none does.

    >>> near("macth", ["match", "redact"])
    ' (did you mean "match"?)'
    """
    import difflib

    matches = difflib.get_close_matches(text.lower(), list(names), 1)
    return f' (did you mean "{matches[0]}"?)' if matches else ""
