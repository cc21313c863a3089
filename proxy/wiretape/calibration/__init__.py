"""`wiretape calibrate`: run a program several times, and find the rules under which it replays.

What varied and which rules do is decided in `core/matching/calibration.py`; here CMD is run and the
recordings are read. Begin with `rounds.py`; `workplace.py` makes the home and the folder of a run,
`printing.py` says what came of it.
"""
