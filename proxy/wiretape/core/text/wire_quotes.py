"""Messages of libraries without the bytes from the wire that they quote.

"Bad HTTP request line: b'CONNECT user:SECRET@host HTTP/1.1'" may hold a secret of a shape nobody
knows, so everything quoted is removed.
"""

import re
import traceback
from typing import Final

_QUOTED: Final = re.compile(r"(?<!\w)(?:bytearray\()?b?(['\"]).*\1\)?", re.DOTALL)
_HEX: Final = re.compile(r"\b[0-9a-fA-F]{16,}\b")


def without_quotes(message: str) -> str:
    """Replace what a message quotes, from the first quotation mark to the last, and long
    hexadecimal numbers by "…".

    >>> without_quotes("invalid header name: b'x y' of 2")
    'invalid header name: … of 2'
    """
    return _HEX.sub("…", _QUOTED.sub("…", message))


def failure_text(error: BaseException) -> str:
    """The traceback and type of an error, without the values it failed on."""
    lines = traceback.format_tb(error.__traceback__)
    return "".join((*lines, type(error).__name__))
