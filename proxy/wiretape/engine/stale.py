"""Tell what has changed since a recording in what rules ignore."""

from collections import OrderedDict
from typing import Final

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.canonical import Canonical, Change, changed
from wiretape.core.matching.matcher import Matcher, without_selecting
from wiretape.library.library import Entry, Library
from wiretape.report.report import Report

from .request import ReplayRequest

_COMPARED: Final = 1024


class StaleRules:
    """Compares requests with the recordings that answer them, and reports which rules applied."""

    def __init__(self, matcher: Matcher, report: Report) -> None:
        self._has_own_rules = any(rule.own for rule in matcher.rules)
        self._report = report
        self._compared: OrderedDict[tuple[int, str], Canonical] = OrderedDict()

    def changes(self, request: ReplayRequest, entry: Entry) -> tuple[Change, ...]:
        """What has changed since the recording, of what rules ignore in either of the two."""
        if not self._has_own_rules or (request.digest and request.digest == entry.digest):
            return ()
        library = request.session.library
        for canonical in request.canonicals:
            if (recorded := self._recorded(library, canonical, entry)) is not None:
                self._report.applied.update(recorded.rules)
                return changed(canonical, recorded)
        # A recording of an earlier version answers without the headers that decide an answer.
        bare = library.matched(without_selecting(request.document))
        recorded = self._recorded(library, bare, entry)
        return changed(bare, recorded) if recorded is not None else ()

    def _recorded(self, library: Library, canonical: Canonical, entry: Entry) -> Canonical | None:
        """The canonical form of a recording under a request's key; None if it has another key."""
        name = (id(library), entry.name)
        recorded = self._compared.get(name)
        if recorded is None or recorded.key != canonical.key:
            try:
                forms = library.recorded(entry.name)
                if entry.foreign:  # llama-stack's answer further requests
                    parts = library.requests(entry.name)
                    forms += tuple(library.matched(part) for _, part in parts)
            except (FormatError, StoreError):
                return None
            recorded = next((form for form in forms if form.key == canonical.key), None)
            if recorded is None:
                return None
            self._compared[name] = recorded
            if len(self._compared) > _COMPARED:
                self._compared.popitem(last=False)
        return recorded
