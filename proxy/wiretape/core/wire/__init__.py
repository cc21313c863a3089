"""Parses what is on the wire: SSE, AWS event streams, content codings, framing.

The parsers take bytes, return values and lose nothing. They know neither recordings nor
providers. Begin with `sse.py`.
"""
