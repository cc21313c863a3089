"""Takes secrets out of bodies, streams, headers and URLs: named places, known values, key patterns.

The gate, which checks a file again before it is written, is here too. docs/secrets.md says what is
searched, and in which encodings. Begin with `redactor.py`.
"""
