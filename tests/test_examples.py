"""The examples in the docstrings run, and give what they show."""

import doctest
import importlib
from typing import Final

import pytest
from tests.support import paths

_PROXY: Final = paths.ROOT / "proxy"
_WITH_EXAMPLES: Final = [
    ".".join(file.relative_to(_PROXY).with_suffix("").parts).removesuffix(".__init__")
    for file in sorted(_PROXY.rglob("*.py"))
    if ">>> " in file.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", _WITH_EXAMPLES)
def test_examples_give_what_they_show(name: str) -> None:
    module = importlib.import_module(name)
    # Before Python 3.13 those that are skipped do not count as attempted.
    assert any(found.examples for found in doctest.DocTestFinder().find(module))
    assert doctest.testmod(module).failed == 0
