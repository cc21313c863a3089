"""Exact JSON, JSONPath, YAML with line numbers, RE2, word diffs, spans.

Nothing here knows HTTP. The leaf of the import tree: it imports nothing of wiretape but the error
classes. Begin with `exact_json.py`.
"""
