"""The command line: click commands that parse, call and print.

No rule lives here: a command fits a screen. Begin with `main.py`; `start.py` is the
program's entry, which prints help without it.
"""
