"""Exchanges that other tools recorded: read into wiretape's recordings, and written back.

A reader turns one file into the items of `foreign.py`, one format a module; `formats.py` lists them
and tells which a file has. `importing.py` puts the exchanges through redaction, gate and library
like any other. `writers.py` is the way back, `llama_stack.py` that to a folder of files. Begin
with `foreign.py`.
"""
