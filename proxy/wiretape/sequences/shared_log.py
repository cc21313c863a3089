"""What a shared log does: whoever has read all of it may append, and nobody else.

So a process that has read all of a log chooses the next take by itself, with all the rules of a
run in one process, and only its turn is decided elsewhere.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from wiretape.core.errors import WiretapeError


class SequencesLost(WiretapeError):
    """The state that a run's processes share is gone or out of reach; `str()` says what to do."""


class Tail(NamedTuple):
    """What others appended to a run's control log and to one other log; `is_appended`: the caller's
    own entries are in the log.
    """

    is_appended: bool
    control: Sequence[str] = ()
    entries: Sequence[str] = ()


class SharedLog(Protocol):
    """The logs of a run, each with a name; the one named "" is the control log.

    Entries are texts without line breaks. Reading positions are the object's own.
    """

    async def append(self, name: str, entries: Sequence[str] = ()) -> Tail:
        """Append to a log unless others appended to it, or to the control log, since last read.

        Without entries it tells whether all was read. One call at a time for each log but the
        control log. SequencesLost where the log is gone or out of reach.
        """
        ...

    def forget(self, name: str) -> None:
        """Read a log from its beginning if it is named again."""
        ...

    async def close(self) -> None:
        """Let go of connections and files."""
        ...


@runtime_checkable
class LocalLog(SharedLog, Protocol):
    """Logs of one machine: nothing has to be waited for."""

    def is_read(self, name: str) -> bool:
        """Whether nobody has appended to any log since all of this one was read."""
        ...

    def append_now(
        self, name: str, entries: Sequence[str], is_apart: Callable[[Sequence[str]], bool]
    ) -> Tail:
        """Append as `append` does; and after what others appended to the log, if `is_apart` says of
        it that the entries are right all the same. No other process appends meanwhile.
        """
        ...
