"""From a recording to what leaves: which take, when each chunk, with which fault.

Finding the recordings is for `core/matching` and the library, sending for `engine/`. Begin with
`player.py`.
"""
