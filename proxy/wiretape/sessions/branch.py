"""A run that leaves a recorded one at a step: replayed up to there, live and recorded from there.

What answered before is copied into the branch's own session, so that it can be replayed alone and
compared with the run that it left.
"""

from contextlib import suppress
from typing import Final

from wiretape.core.errors import StoreError
from wiretape.core.recording import text as recording_format
from wiretape.files import write_whole
from wiretape.library.library import Library
from wiretape.library.recording_file import read_bytes, side_files


class Branch:
    """A branch into `library`: live from request number `live_from` on, counted from 1, or after
    the recording named `after` has answered.
    """

    def __init__(
        self, library: Library, live_from: int | None = None, after: str | None = None
    ) -> None:
        self.library: Final = library
        self.name: Final = library.session
        self.requests = 0
        """How many requests came by now."""
        self.is_live = live_from == 1
        self._live_from: Final = live_from
        self._after: Final = after

    def next_is_live(self) -> bool:
        """Count a request; says whether it goes to the provider."""
        self.requests += 1
        self.is_live = self.is_live or self.requests == self._live_from
        return self.is_live

    def replayed(self, source: Library, name: str) -> None:
        """Keep a recording that answered. StoreError where it cannot be copied."""
        self.is_live = self.is_live or name == self._after
        old, new = source.folder / name, self.library.folder / name
        data, _ = read_bytes(old)
        copies = {new: data}
        for side in side_files(recording_format.loads(data)):
            copies[new.with_name(side)] = read_bytes(old.with_name(side))[0]
        try:
            for path, content in reversed(copies.items()):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, content)
        except OSError as error:
            raise StoreError(f"{new}: cannot be written: {error.strerror}") from error

    @property
    def unreached(self) -> str | None:
        """Why nothing went live, if nothing did."""
        if self.is_live:
            return None
        if self._after is not None:
            return f"--after {self._after}: it did not answer, so nothing went live"
        return f"--live-from {self._live_from}: only {self.requests} requests came"

    def close(self) -> None:
        """The run is over."""
        with suppress(StoreError):
            self.library.leave()
