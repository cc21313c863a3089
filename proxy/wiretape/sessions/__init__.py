"""Named scopes of recordings, and the control endpoint by which a test opens them.

Begin with `sessions.py`.
"""
