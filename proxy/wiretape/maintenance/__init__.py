"""Keeping a folder of recordings in order: verify, rekey, rename, what is unused or stale.

Not on the way of any exchange. Begin with `verify.py`.
"""
