"""The text around a value that varies, by which a pattern finds the value again.

It is the same in every run, so it holds no placeholder of a secret, and it is cut between words.
"""

import re
from typing import Final

# A placeholder has another digest with another key; YAML would have to escape the rest.
_UNSTABLE: Final = re.compile("[^ -~]|REDACTED-[A-Za-z0-9-]+")
# A word, or what stands for a folder ({cwd}, {home}).
_WHOLE: Final = re.compile(r"\{\w+\}|\w+")


def text_before(text: str, length: int) -> str:
    """The end of a text: about `length` characters, at most twice as many so as to begin with a
    whole word, from behind the last placeholder on.

    >>> text_before("key REDACTED-secret-0a1b2c3d: work in {cwd}, run ", 9)
    '{cwd}, run '
    """
    text = _UNSTABLE.split(text)[-1]
    cut, most = max(0, len(text) - length), max(0, len(text) - 2 * length)
    for word in _WHOLE.finditer(text, most):
        if word.start() < cut < word.end() and (word.start() > most or not most):
            return text[word.start() :]
    return text[cut:]


def text_after(text: str, length: int) -> str:
    """The beginning of a text, as `text_before` its end."""
    text = _UNSTABLE.split(text, maxsplit=1)[0]
    most = min(len(text), 2 * length)
    for word in _WHOLE.finditer(text, 0, most):
        if word.start() < length < word.end() and (word.end() < most or most == len(text)):
            return text[: word.end()]
    return text[:length]


def literal(text: str) -> str:
    """A text as a pattern that RE2 reads as `re` does.

    >>> literal("a.b (c)")
    'a\\\\.b \\\\(c\\\\)'
    """
    return re.sub(r"([\\.^$|?*+()\[\]{}])", r"\\\1", text)
