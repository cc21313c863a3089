"""Let what `wiretape mcp` misses fail the run around it, whose client started it.

MCP clients start their servers with an environment of their own, and look at no exit status. So a
run keeps a file among wiretape's own, and an inner run, which uses the same folder of recordings,
writes there what fails it.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from wiretape.files import write_whole
from wiretape.library.processes import is_alive
from wiretape.report.report import Report, Row
from wiretape.state_dir import state_dir

_SUFFIX: Final = ".outer"
_FAILING: Final = ("missed", "refused", "failed")


@contextmanager
def heard(recordings: Path, report: Report) -> Iterator[None]:
    """Add what fails inner runs to the report of this one, when the block ends."""
    path = state_dir() / f"{os.getpid()}{_SUFFIX}"
    write_whole(path, f"{json.dumps(str(recordings.absolute()))}\n".encode(), 0o600)
    try:
        yield
    finally:
        with suppress(OSError, ValueError):  # someone else's hands were in the folder
            for line in path.read_text(encoding="utf-8").splitlines()[1:]:
                report.add(Row(**json.loads(line)))
        path.unlink(missing_ok=True)


def tell_outer(recordings: Path, row: Row) -> None:
    """Tell the runs around this one of a row, if it fails a run."""
    if row.outcome not in _FAILING:
        return
    what = row.miss.head if row.miss is not None else row.note
    names = ("outcome", "provider", "method", "path")
    members = {name: getattr(row, name) for name in names} | {"note": f"in wiretape mcp: {what}"}
    for path in state_dir().glob(f"*{_SUFFIX}"):
        with suppress(OSError, ValueError):
            if not is_alive(int(path.stem)):
                path.unlink()
                continue
            with path.open("r+", encoding="utf-8") as file:
                if json.loads(file.readline()) == str(recordings.absolute()):
                    file.seek(0, os.SEEK_END)
                    file.write(json.dumps(members) + "\n")
