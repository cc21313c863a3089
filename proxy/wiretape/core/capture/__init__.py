"""Turns what was read on the wire into an exchange, and tells how it ended.

A recorder is given every read with its time; redaction and files come after it. Begin with
`recorder.py`.
"""
