"""What redaction has searched in vain, so that the gate need not search the same again."""

from typing import NamedTuple

from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json

from .known_values import Secrets


class _Noted(NamedTuple):
    """A part's text, what it was searched for, and whether a look at the text was enough."""

    text: str
    known: Secrets
    by_a_look: bool


class CleanParts:
    """The parts of a recording in which a search found nothing, and the values it looked for.

    A search depends on these two alone, so it finds nothing in an equal part if it looks for no
    other value. Parts are compared as JSON text, which nobody can change afterwards, and in which
    order and type count. For one exchange and one redactor.

    >>> clean = CleanParts()
    >>> clean.note("response", {"status": 200, "body": None}, Secrets())
    >>> clean.holds("response", {"status": 200, "body": None}, Secrets())
    True
    >>> known = Secrets([("configured", "Tq7-vanilla-Xk29")])
    >>> clean.holds("response", {"status": 200, "body": None}, known)
    False
    """

    def __init__(self) -> None:
        self._noted: dict[str, _Noted] = {}

    def note(self, name: str, part: Document, known: Secrets, *, by_a_look: bool = False) -> None:
        """Say that a search for `known` and for patterns found nothing in a part; `by_a_look`: that
        a look at its text already shows that it could not.
        """
        self._noted[name] = _Noted(exact_json.dumps(part, parsed=True), known, by_a_look)

    def holds(self, name: str, part: Document, known: Secrets, *, by_a_look: bool = False) -> bool:
        """Whether a search for `known` is certain to find nothing in a part; `by_a_look`: whether a
        look at its text is.
        """
        noted = self._noted.get(name)
        return (
            noted is not None
            and (noted.by_a_look or not by_a_look)
            and _all_in(known, noted.known)
            and noted.text == exact_json.dumps(part, parsed=True)
        )


def _all_in(known: Secrets, searched: Secrets) -> bool:
    if known.values == searched.values:
        return True
    return {value for _, value in known.values} <= {value for _, value in searched.values}
