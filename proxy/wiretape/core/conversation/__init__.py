"""Reads recordings as conversations, in the dialects of the providers.

For people only (`ls`, `show`, `diff`), and for the tokens that providers do not tell
(`estimate.py`): nothing here decides what is recorded or replayed. Begin with `conversation.py`.
"""
