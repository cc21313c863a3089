"""The program's entry: answers `--help` without click, whose import takes twice Python's start.

The texts of help are in `help.txt`, which `make packs` writes: what click prints at the two widths
that most have. Whatever else is asked, or at another width, goes to click. Nothing is imported here
that Python has not imported by itself, or has built in.
"""

import gc
import os
import sys

NAME = "wiretape"
WIDTHS = (80, 100)
"""Columns: of a pipe and of many terminals, and of wider ones, of which click uses no more."""


def main() -> None:
    """Run the command line; ends the process as click does."""
    text = None
    if len(sys.argv) > 1 and sys.argv[-1] in ("-h", "--help"):
        text = _help_in_stock()
    if text is not None:
        _print(text)
        return
    # While modules are imported there is no garbage, only more and more to look through.
    gc.disable()
    try:
        from .main import main as program

        program()
    finally:
        gc.enable()


def title(path: list[str], columns: int) -> str:
    """The line above a text of help in `help.txt`; no text of help holds a form feed."""
    return f"\f{' '.join([NAME, *path])}, {columns} columns\n"


def _help_in_stock() -> str | None:
    """The help that is asked for; None if click has to write it."""
    path, columns = sys.argv[1:-1], min(_columns(), WIDTHS[-1])
    encoding = getattr(sys.stdout, "encoding", None) or ""
    if (
        columns not in WIDTHS
        or encoding.lower() not in ("utf-8", "utf8")
        or os.path.basename(sys.argv[0]) != NAME  # click names the program as it was called
        or not all(map(str.isalpha, path))
        or "_WIRETAPE_COMPLETE" in os.environ
    ):
        return None
    try:
        with open(os.path.join(os.path.dirname(__file__), "help.txt"), encoding="utf-8") as file:
            _, _, rest = file.read().partition(title(path, columns))
    except (OSError, ValueError):
        return None
    return rest.partition("\f")[0] or None


def _columns() -> int:
    """The terminal's width as `shutil.get_terminal_size` has it; that takes long to import."""
    try:
        columns = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns  # type: ignore[union-attr]
        except (AttributeError, ValueError, OSError):
            columns = 0
    return columns or WIDTHS[0]


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is buffered is not to be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # as `| head` leaves it
            print(f"{NAME}: standard output: {error.strerror}", file=sys.stderr)
        sys.exit(1)
