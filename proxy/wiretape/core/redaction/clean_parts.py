"""What redaction has searched in vain, so that the gate need not search the same again."""

from typing import Final, NamedTuple, cast

from wiretape.core.recording.document import Document
from wiretape.core.recording.text import MAX_DEPTH, PartTexts, part_text, without_parts
from wiretape.core.text import exact_json

from .known_values import Secrets
from .placeholder import may_be_in


class _Noted(NamedTuple):
    """A part and its text, what it was searched for, and whether a look at the text was enough."""

    part: Document
    text: str
    known: Secrets
    by_a_look: bool


class CleanParts:
    """The parts of a recording in which a search found nothing, and the values it looked for.

    A search depends on these two alone, so it finds nothing in an equal part if it looks for no
    other value. Parts are compared as text, which nobody can change afterwards, and in which order
    and type count. For one exchange and one redactor.

    >>> clean = CleanParts()
    >>> clean.note("response", {"status": 200, "body": None}, Secrets())
    >>> clean.holds("response", {"status": 200, "body": None}, Secrets())
    True
    >>> known = Secrets([("configured", "Tq7-vanilla-Xk29")])
    >>> clean.holds("response", {"status": 200, "body": None}, known)
    False
    """

    def __init__(self) -> None:
        self.texts: Final = PartTexts()
        """The parts as they are written."""
        self._placeholders: dict[str, tuple[str, bool]] = {}
        self._noted: dict[str, _Noted] = {}
        self._read: dict[str, Document] = {}

    def may_hold_placeholder(self, name: str, part: Document) -> bool:
        """Whether a placeholder could be in a part; False is certain."""
        text = self.texts.of(name, part)
        known = self._placeholders.get(name)
        if known is None or known[0] is not text:
            known = self._placeholders[name] = text, may_be_in(text)
        return known[1]

    def note(
        self,
        name: str,
        part: Document,
        known: Secrets,
        *,
        by_a_look: bool = False,
        is_plain: bool = False,
    ) -> None:
        """Say that a search for `known` and for patterns found nothing in a part; `by_a_look`: that
        a look at its text already shows that it could not; `is_plain`: nor could a placeholder be
        in it.
        """
        text = self.texts.of(name, part)
        self._noted[name] = _Noted(part, text, known, by_a_look)
        if is_plain:
            self._placeholders[name] = text, False

    def read(self, text: str) -> Document | None:
        """The document of a recording's text in which a clean part stands as it was written: that
        is not read again. None for another text, and for one with members of one name.
        """
        noted = {name: each.text for name, each in self._noted.items()}
        rest, names = without_parts(text, noted)
        if not names:
            return None
        try:
            document = exact_json.parse(rest, max_depth=MAX_DEPTH)
            if exact_json.overridden(rest):
                return None
        except ValueError:
            return None
        for name in names:
            document[name] = part = self._noted[name].part
            self._read[name] = part
        return cast(Document, document)

    def holds(self, name: str, part: Document, known: Secrets, *, by_a_look: bool = False) -> bool:
        """Whether a search for `known` is certain to find nothing in a part; `by_a_look`: whether a
        look at its text is.
        """
        noted = self._noted.get(name)
        if noted is None or (by_a_look and not noted.by_a_look) or not _all_in(known, noted.known):
            return False
        is_read = part is noted.part and part is self._read.get(name)
        return is_read or noted.text == part_text(name, part)


def _all_in(known: Secrets, searched: Secrets) -> bool:
    if known.values == searched.values:
        return True
    return {value for _, value in known.values} <= {value for _, value in searched.values}
