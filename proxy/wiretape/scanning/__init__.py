"""Looking for secrets in any file, and taking them out in place.

It applies redaction's rules to files; the rules are `core/redaction`'s. Begin with `scan.py`.
"""
