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
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0
