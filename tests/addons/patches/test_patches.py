"""Each patch of mitmproxy is in place, says why, and has a test that fails without it."""

import ast

import pytest
from tests.support import paths

from wiretape_mitm import patches
from wiretape_mitm.patches import PATCHES, Patch


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_a_patch_is_installed_and_put_back(patch: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patch.owner, patch.name, object())
    assert not patch.is_installed
    patches.install()
    assert patch.is_installed


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_a_patch_says_what_it_changes_and_which_test_pins_it(patch: Patch) -> None:
    assert patch.changes.endswith(".")
    assert patch.upstream.endswith(".")
    file, _, name = patch.pinned_by.partition("::")
    tree = ast.parse((paths.ROOT / "tests" / file).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert name in {node.name for node in tree.body if isinstance(node, functions)}


def test_nothing_else_of_mitmproxy_is_replaced() -> None:
    """All assignments to what is mitmproxy's are in the table."""
    for file in sorted((paths.ROOT / "addons").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    spelled = ast.unparse(target)
                    owners = ("_http1.", "http_layers.", "mode_servers.", "layer.")
                    assert not spelled.startswith(owners), file
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr":
                assert ast.unparse(node.args[0]) in ("self", "self.owner"), file
