"""Reads recordings as conversations, in the dialects of the providers.

For people only (`ls`, `show`, `diff`): nothing here decides what is recorded or replayed. Begin
with `conversation.py`.
"""
