"""A request's body that is too large to be kept in memory and to be waited for.

mitmproxy holds a request back until its body is whole. What replays needs it whole, to look it up;
what only records does not: above `limit` bytes the provider gets it as it comes, and a temporary
file keeps it.
"""

import hashlib
import tempfile
from collections.abc import Callable
from typing import IO, Any, Final

LIMIT: Final = 8 * 1024 * 1024
"""Bytes of a body that are kept in memory and looked up."""


class Upload:
    """Tees an upload into a temporary file once it is larger than `limit` bytes.

    `begin` is called once with the flow, right before it goes out; for a smaller body never.
    """

    def __init__(self, begin: Callable[[Any], None], limit: int = LIMIT) -> None:
        self.limit: Final = limit
        self.size = 0
        """Bytes that have come; 0 for a body that stayed below the limit."""
        self.spilled = False
        """Whether the body went out as it came: `flow.request.content` does not have it."""
        self.fault: OSError | None = None
        """Why the file does not hold the body, where it does not (a full disk)."""
        self.leave: Callable[[Any], None] = lambda flow: None
        """Called after `begin`, which may have sent the flow elsewhere: which way it goes out."""
        self._begin = begin
        self._file: IO[bytes] | None = None
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The digest of what has come, hexadecimal."""
        return self._digest.hexdigest()

    def begin(self, flow: Any) -> None:
        """The body is too large to wait for: it goes out now."""
        self.spilled = True
        try:
            self._file = tempfile.TemporaryFile(prefix="wiretape-upload-")  # noqa: SIM115  # close
        except OSError as error:
            self.fault = error
        self._begin(flow)
        self.leave(flow)

    def tee(self, data: bytes) -> bytes:
        """Keep a piece and give it back: what mitmproxy wants of `request.stream`."""
        self.size += len(data)
        self._digest.update(data)
        if self._file is not None and self.fault is None:
            try:
                self._file.write(data)
            except OSError as error:
                # The client's upload goes on; what cannot be kept is for the recorder to tell.
                self.fault = error
        return data

    def open(self) -> IO[bytes]:
        """The body's file, at its beginning, gone once closed; OSError where it has a fault."""
        if self.fault is not None:
            raise self.fault
        assert self._file is not None
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give the file back; harmless when there is none."""
        if self._file is not None:
            self._file.close()
