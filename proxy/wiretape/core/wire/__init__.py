"""What bytes on the wire mean: SSE, AWS event streams, content codings, how a body is framed.

Parsers that are given bytes and return values, and lose no byte. They know no recording and no
provider. Begin with `sse.py`.
"""
