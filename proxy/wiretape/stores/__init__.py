"""Recordings in an object store: the same names and bytes as in a folder, through obstore.

A run fetches what it answers with, or replaces (`on_demand.py`). One that records does so in a
mirror, a folder of its own, which `mirror.py` uploads after it. The same code is
`wiretape push`, `pull` and `sync` (`transfer.py`). Begin with `store.py`.
"""
