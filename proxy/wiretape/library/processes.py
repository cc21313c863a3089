"""Other processes of this machine: those that left files behind may have died."""

import os
from pathlib import Path


def is_alive(pid: int, birth: str | None = None) -> bool:
    """Whether a process of this number exists; with a `birth`, whether it is that very one."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return birth is None or birth_of(pid) in (None, birth)


def birth_of(pid: int) -> str | None:
    """When a process began, to tell it from a later one of its number; None where nobody says.

    It is in ticks since the machine's start (Linux: proc(5), stat's field 22).
    """
    try:
        # The second field, the program's name, may hold spaces and parentheses.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
