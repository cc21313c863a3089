"""What redaction has searched in vain, so that the gate need not search the same again."""

from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json

from .known_values import Secrets


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
        self._texts: dict[str, str] = {}
        self._known: dict[str, Secrets] = {}
        self._looked_at: set[str] = set()

    def note(self, name: str, part: Document, known: Secrets, *, by_a_look: bool = False) -> None:
        """Say that a search for `known` and for patterns found nothing in a part; `by_a_look`: that
        a look at its text already shows that it could not.
        """
        self._texts[name], self._known[name] = exact_json.dumps(part, parsed=True), known
        if by_a_look:
            self._looked_at.add(name)
        else:
            self._looked_at.discard(name)

    def holds(self, name: str, part: Document, known: Secrets, *, by_a_look: bool = False) -> bool:
        """Whether a search for `known` is certain to find nothing in a part; `by_a_look`: whether a
        look at its text is.
        """
        return (
            name in self._texts
            and (name in self._looked_at or not by_a_look)
            and _all_in(known, self._known[name])
            and self._texts[name] == exact_json.dumps(part, parsed=True)
        )


def _all_in(known: Secrets, searched: Secrets) -> bool:
    if known.values == searched.values:
        return True
    return {value for _, value in known.values} <= {value for _, value in searched.values}
