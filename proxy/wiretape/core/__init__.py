"""The core: bytes and values in, values out.

Nothing below this package opens a file, a socket or a process, reads a clock, draws a random number
or knows mitmproxy, aiohttp or click; `tests/test_layers.py` holds it to that. Begin with `model.py`
(what an exchange is) and `recording/document.py` (how one is written down).
"""
