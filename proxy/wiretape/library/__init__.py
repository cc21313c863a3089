"""Recordings on disk: atomic writes, the index, look-ups, takes.

Everything that reads or writes a recordings folder goes through here; what a file's content means
is `core/recording`'s. Begin with `library.py`.
"""
