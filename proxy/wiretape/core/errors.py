"""The errors, worded so that a person can act on them.

    WiretapeError            anything wiretape reports instead of a traceback
    ├── ConfigError          config.yaml or an option is wrong; nothing was started (exit 2)
    ├── FormatError          a file is not a recording we can read
    └── StoreError           a recording could not be read from or written to disk

Each message names the file, line or key, what was got, what was expected and what to do. None holds
a secret.
"""


class WiretapeError(Exception):
    """Base of every error wiretape reports; `str()` of it is fit for the terminal."""


class ConfigError(WiretapeError):
    """The configuration or the command line is wrong; each fault has a line."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class FormatError(WiretapeError):
    """A document is not a recording; `str()` says what was got and what was expected."""


class StoreError(WiretapeError):
    """A recording could not be read or written; names the file and the system's reason."""


def reason_of(error: Exception) -> str:
    """Why a system call failed, without the path that the message around it names already."""
    return (isinstance(error, OSError) and error.strerror) or str(error)
