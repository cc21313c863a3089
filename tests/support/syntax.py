"""The syntax trees of the product's modules, for the tests that hold how it is written."""

import ast
from collections.abc import Iterator
from functools import cache

Statement = ast.stmt | ast.ExceptHandler | ast.match_case
"""What statements are in, or are: no expression is in between."""


@cache
def tree_of(source: str) -> ast.Module:
    """The tree of a module's text; it is parsed once."""
    return ast.parse(source)


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below a node, without the expressions in them: a tenth of all nodes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Statement):
            yield child
            yield from statements(child)
