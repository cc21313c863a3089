"""Decides what a replay sends: which take, each chunk at which time, with which fault.

`core/matching` and the library find the recordings, `engine/` sends. Begin with
`player.py`.
"""
