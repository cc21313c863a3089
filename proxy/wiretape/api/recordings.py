"""Recordings as objects."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.model import Request, Response
from wiretape.core.redaction.placeholder import PLACEHOLDER

if TYPE_CHECKING:
    from wiretape.maintenance.inventory import SessionFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recorded exchange. `name` is its file's below the folder (of its `session`, where it is in
    one), `endpoint` the path that was asked, `model` the one that was named.

    `response.chunks` are the chunks of a stream, each with its bytes as `data` and, as `at`, the
    seconds after the request at which they came; None where nobody measured. `redactions` are the
    placeholders that stand for secrets, and how often each does.
    """

    name: str
    path: Path
    session: str | None
    request: Request
    response: Response
    endpoint: str
    model: str | None
    recorded_at: datetime | None
    redactions: Mapping[str, int]
    document: Mapping[str, Any]
    """The recording as docs/recording-format.md has it; llama-stack's is converted."""


class Recordings:
    """The recordings of a folder, read from disk each time they are gone through."""

    def __init__(
        self, folder: Path, session: str | None, on_fault: Literal["raise", "skip"]
    ) -> None:
        # Who only replays, or imports all that is public, does not pay for the library.
        from wiretape.maintenance.inventory import sessions

        self.folder: Final = folder
        self.faults: Final[dict[Path, str]] = {}
        """Files that were skipped, and why."""
        self._on_fault = on_fault
        self._sessions: Final = sessions(folder, session)

    def __len__(self) -> int:
        """How many files there are, whether they can be read or not."""
        return sum(len(files.recordings) for files in self._sessions)

    def __iter__(self) -> Iterator[Recording]:
        for files in self._sessions:
            for name in files.recordings:
                path = files.folder / name
                try:
                    recording = _read(files, name)
                except (FormatError, StoreError) as error:
                    if self._on_fault == "raise":
                        raise type(error)(f"{path}: {error}") from error
                    self.faults[path] = str(error)
                    continue
                yield recording


def open(
    folder: str | os.PathLike[str] = "recordings",
    *,
    session: str | None = None,
    on_fault: Literal["raise", "skip"] = "raise",
) -> Recordings:
    """Go through the recordings of a folder.

    >>> for recording in wiretape.open("recordings"):                   # doctest: +SKIP
    ...     print(recording.request.url, recording.model, len(recording.response.chunks))

    session   only those of this session; by itself all
    on_fault  what to do with a file that is not a recording or cannot be read: "raise" a
              FormatError or StoreError, or "skip" it into `faults`

    ConfigError if there is no such folder or session.
    """
    return Recordings(Path(folder), session, on_fault)


def _read(files: "SessionFiles", name: str) -> Recording:
    from wiretape.library.recording_file import load
    from wiretape.maintenance.inventory import recorded_at

    path = files.folder / name
    loaded = load(path)
    request = loaded.exchange.request
    return Recording(
        name=name,
        path=path,
        session=files.session,
        request=request,
        response=loaded.exchange.response,
        endpoint=loaded.document["request"].get("endpoint", request.path),
        model=loaded.document["request"].get("model"),
        recorded_at=recorded_at(loaded.document),
        redactions=Counter(PLACEHOLDER.findall(json.dumps(loaded.document))),
        document=loaded.document,
    )
