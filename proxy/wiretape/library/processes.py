"""Tell whether the process that left a file behind is still alive."""

import os
from pathlib import Path


def is_alive(pid: int, birth: str | None = None) -> bool:
    """Whether a process of this number exists and, with a `birth`, was started then."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return birth is None or birth_of(pid) in (None, birth)


def birth_of(pid: int) -> str | None:
    """When a process was started, to tell it from a later one with its number; None if unknown.

    In ticks since the machine's start (Linux: proc(5), stat's field 22).
    """
    try:
        # The second field, the program's name, may hold spaces and parentheses.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
