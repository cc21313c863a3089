"""What redaction has searched in vain, so that the gate need not search the same again."""

from wiretape.core.recording.document import Document
from wiretape.core.text import exact_json

from .known_values import Secrets


class CleanAnswer:
    """The `response` part in which a search found nothing, and the values it looked for.

    A search depends on these two alone, so it finds nothing in an equal part if it looks for no
    other value. Parts are compared as JSON text, which nobody can change afterwards, and in which
    order and type count. For one exchange and one redactor.

    >>> clean = CleanAnswer()
    >>> clean.note({"status": 200, "body": None}, Secrets())
    >>> clean.holds({"status": 200, "body": None}, Secrets())
    True
    >>> clean.holds({"status": 200, "body": None}, Secrets([("configured", "Tq7-vanilla-Xk29")]))
    False
    """

    def __init__(self) -> None:
        self._text: str | None = None
        self._known = Secrets()

    def note(self, response: Document, known: Secrets) -> None:
        """Say that a search for `known` and for patterns found nothing in `response`."""
        self._text, self._known = exact_json.dumps(response, parsed=True), known

    def holds(self, response: Document, known: Secrets) -> bool:
        """Whether a search for `known` is certain to find nothing in `response`."""
        return (
            self._text is not None
            and _all_in(known, self._known)
            and self._text == exact_json.dumps(response, parsed=True)
        )


def _all_in(known: Secrets, searched: Secrets) -> bool:
    if known.values == searched.values:
        return True
    return {value for _, value in known.values} <= {value for _, value in searched.values}
