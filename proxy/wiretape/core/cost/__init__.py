"""Tokens as providers count them, and what they cost by a table of prices.

Nothing here reads a file: the table's data is `config/prices.yaml` and config.yaml's `prices`.
Begin with `usage.py` (tokens of an answer), then `prices.py` (their price).
"""
