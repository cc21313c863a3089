"""What the name of a folder says: a host's, a session's, or one that is not followed."""

import re
from typing import Final

LINKED: Final = "a link to a folder, which is not followed: put the folder itself here"

_FOLDER_NAME: Final = "[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
SESSION_NAME: Final = re.compile(f"{_FOLDER_NAME}(?:/{_FOLDER_NAME}){{0,9}}")
"""A session's folder, which may lie in others: "checkout", "tests/test_cart/test_pays"."""


def is_host_folder(name: str) -> bool:
    """Whether a folder is a host's, by its name; others are sessions' (`library.host_folder`).

    >>> is_host_folder("api.openai.com"), is_host_folder("localhost+8080"), is_host_folder("cart")
    (True, True, False)
    """
    return "." in name[1:] or "+" in name
