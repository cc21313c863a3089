"""Messages of libraries without the bytes from the wire that they quote.

"Bad HTTP request line: b'CONNECT user:SECRET@host HTTP/1.1'" may hold a secret of a shape nobody
knows, so all that is quoted goes, whatever it is.
"""

import re
import traceback
from typing import Final

_QUOTED: Final = re.compile(r"(?<!\w)(?:bytearray\()?b?(['\"]).*\1\)?", re.DOTALL)
_HEX: Final = re.compile(r"\b[0-9a-fA-F]{16,}\b")


def without_quotes(message: str) -> str:
    """Give a message with "…" for what it quotes, from the first quotation mark to the last, and
    for long hexadecimal digits.

    >>> without_quotes("invalid header name: b'x y' of 2")
    'invalid header name: … of 2'
    """
    return _HEX.sub("…", _QUOTED.sub("…", message))


def failure_text(error: BaseException) -> str:
    """Tell what failed and where in the code, and none of the values that it failed on."""
    lines = traceback.format_tb(error.__traceback__)
    return "".join((*lines, type(error).__name__))
