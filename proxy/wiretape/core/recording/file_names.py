"""What the names of files say: which take a recording is, and that a file is a side file."""

import re
from typing import Final

SIDE_FILE_NAME: Final = re.compile(r"[0-9a-f]{64}\.bin")
_TAKE: Final = re.compile(r"\.(\d{1,6})$")


def take_of(name: str) -> int:
    """The number of a take, from the file's name.

    >>> take_of("api.openai.com/v1-models/3f2a00112233.2.json"), take_of("3f2a00112233.json")
    (2, 1)
    """
    match = _TAKE.search(name.rpartition("/")[2].removesuffix(".json"))
    return int(match[1]) if match else 1


def by_take(name: str) -> tuple[str, int]:
    """A sort key for names that puts take 10 after take 2."""
    return stem_of(name), take_of(name)


def name_of_take(stem: str, number: int) -> str:
    """The file name of a take."""
    return f"{stem}.json" if number == 1 else f"{stem}.{number}.json"


def stem_of(name: str) -> str:
    """A recording's name without the number of its take."""
    return _TAKE.sub("", name.removesuffix(".json"))
