"""Try the rules that misses suggest on the recordings of a session, within what a run may spend."""

from collections.abc import Callable, Mapping
from typing import Final

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.rule import Rule
from wiretape.core.matching.rule_trial import RuleTrial, try_rules
from wiretape.core.recording.document import Document
from wiretape.library.library import Library
from wiretape.library.recording_file import Stat

MOST_FILES: Final = 20_000
"""Recordings that are read for trials in one run; 10,000 small ones take about 5 seconds."""

MOST_BYTES: Final = 256 << 20
"""Bytes of recordings that are read for trials in one run: about 15 seconds."""


class RuleTrials:
    """Tries rules on all recordings that they are for, as long as the run's allowance lasts."""

    def __init__(
        self, matcher: Matcher, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES
    ) -> None:
        self._matcher = matcher
        self._files_left = most_files
        self._bytes_left = most_bytes
        self._trials: dict[tuple[int, str], tuple[int, RuleTrial]] = {}

    def of(self, library: Library, request: Document) -> Callable[[Rule], RuleTrial | None]:
        """What tries a rule that is to let `request` match on a session's recordings.

        It gives None where they are more than may still be read, or change meanwhile: then it is
        not known what the rule does.
        """

        def try_rule(rule: Rule) -> RuleTrial | None:
            # A rule without `on` changes no endpoint, so it concerns those alone that it is for.
            stats = {
                name: stat
                for name, stat, endpoint in library.endpoints()
                if "*" in "".join(endpoint) or rule.applies(*endpoint)
            }
            # Many tests miss for the same reason, and the rule is the same for all of them.
            key = (id(library), rule.name)
            content = hash(frozenset(stats.items()))
            known = self._trials.get(key)
            if known is None or known[0] != content:
                trial = self._tried(library, rule, stats)
                if trial is None:
                    return None
                known = self._trials[key] = (content, trial)
            return known[1].of(self._matcher, [rule], request)

        return try_rule

    def _tried(self, library: Library, rule: Rule, stats: Mapping[str, Stat]) -> RuleTrial | None:
        size = sum(stat[2] for stat in stats.values())
        if len(stats) > self._files_left or size > self._bytes_left:
            return None
        self._files_left -= len(stats)
        self._bytes_left -= size
        parts = (part for name, stat in stats.items() for part in library.requests(name, stat))
        try:
            return try_rules(self._matcher, [rule], parts)
        except (FormatError, StoreError):
            return None
