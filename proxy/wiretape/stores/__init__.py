"""Recordings in an object store: the same names and bytes as in a folder, through obstore.

A run that replays fetches what it answers with (`on_demand.py`). One that records works on a
mirror, a folder of its own; `mirror.py` fills it before and uploads after. The same code is
`wiretape push`, `pull` and `sync` (`transfer.py`). Begin with `store.py`.
"""
