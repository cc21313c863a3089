"""Turns exchanges into documents of JSON and back, byte for byte.

Handles chunks, WebSocket messages, llama-stack's own files, the schema; the library handles files.
Begin with `document.py`; docs/recording-format.md describes the format.
"""
