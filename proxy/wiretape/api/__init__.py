"""The Python API: proxies for the block of a test, and recordings as objects.

What is public is named by `wiretape.__all__`. A proxy is a `wiretape pipe` process of its own
(`process.py`), so that neither a frozen clock nor a blocked socket of the test reaches it, and it
ends with this process however that ends. Begin with `proxy.py`; `recordings.py` reads.
"""
