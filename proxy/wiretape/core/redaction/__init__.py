"""Secrets out: known values, named places, key patterns, in bodies, streams, headers and URLs.

The gate, which looks again before a file is written, is here too. What is searched, and in which
encodings, is said in docs/secrets.md. Begin with `redactor.py`.
"""
