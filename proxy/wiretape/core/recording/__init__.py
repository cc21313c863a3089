"""A recording as a document: how an exchange becomes JSON and comes back byte for byte.

Chunks, WebSocket messages, llama-stack's own files, the schema. Files are the library's. Begin with
`document.py`; the format is described in docs/recording-format.md.
"""
