"""wiretape records what a program and an LLM provider say to each other, and gives it back.

The packages below are its parts: `core` is pure, all others are the shells around it. None is
public yet; the command line and the recordings are what others rely on.
"""

__version__ = "0.1.0"
