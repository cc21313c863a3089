"""Record what a program and an LLM provider send each other, and replay it byte for byte.

What `__all__` names is public; so are the command line, the format of recordings and config.yaml,
which docs/ describes. Every package below is private and may change with any release. `core` is
pure, the others are the shells around it; docs/architecture.md says where to begin reading.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
