"""The syntax trees of the product's modules, for the tests that hold how it is written."""

import ast
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

Statement = ast.stmt | ast.ExceptHandler | ast.match_case
"""What statements are in, or are: no expression is in between."""


@cache
def tree_of(source: str) -> ast.Module:
    """The tree of a module's text; it is parsed once."""
    return ast.parse(source)


@contextmanager
def kept_trees() -> Iterator[None]:
    """Keep trees out of the garbage collector while they are needed, and forget them afterwards: it
    would go through their million nodes again and again, here and in all other tests.
    """
    gc.disable()
    try:
        yield
    finally:
        tree_of.cache_clear()
        gc.enable()


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below a node, without the expressions in them: a tenth of all nodes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Statement):
            yield child
            yield from statements(child)
