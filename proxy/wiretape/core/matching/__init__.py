"""Compare requests: canonical form, key, rules, and why a request missed.

Nothing is matched by "close enough": the nearest recording is only for the report. Which of several
takes answers is for `core/playback` to say. Begin with `matcher.py`.
"""
