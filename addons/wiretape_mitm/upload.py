"""A request's body that goes out while it comes.

mitmproxy holds a request back until its body is whole. What replays needs it whole, to look it up;
what only records does not, and a client may wait for an answer before it sends the rest. What has
gone out is kept here, in memory and, if it is large, in a temporary file.
"""

import tempfile
from collections.abc import Callable
from typing import IO, Any, Final

IN_MEMORY: Final = 8 * 1024 * 1024
"""Bytes of a body that are kept in memory; of a larger one a file keeps all."""


class Upload:
    """Keeps an upload that goes out as it comes, for whoever records it.

    One that is held back first, to be looked up, goes out once it is larger than `held` bytes.
    `begin` is called once with the flow, right before it goes out; for a smaller body never.
    """

    def __init__(self, begin: Callable[[Any], None], held: int = 0) -> None:
        self.held: Final = held
        self.has_begun = False
        """Whether the body went out as it came: `flow.request.content` does not have it."""
        self.fault: OSError | None = None
        """Why the file does not hold the body, where it does not (a full disk)."""
        self.leave: Callable[[Any], None] = lambda flow: None
        """Called after `begin`, which may have sent the flow elsewhere: which way it goes out."""
        self._begin = begin
        self._file: IO[bytes] | None = None

    def begin(self, flow: Any) -> None:
        """The body goes out from now on."""
        self.has_begun = True
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115  # close
            IN_MEMORY, prefix="wiretape-upload-"
        )
        self._begin(flow)
        self.leave(flow)

    def tee(self, data: bytes) -> bytes:
        """Keep a piece and give it back: what mitmproxy wants of `request.stream`."""
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
