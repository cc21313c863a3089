"""From what was read on the wire to an exchange, with how it ended.

A recorder is told of every read and its time; redaction and files come after it. Begin with
`recorder.py`.
"""
