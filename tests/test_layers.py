"""The core is pure: it imports no shell, no framework, no clock and nothing that opens a socket."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wiretape

PACKAGE = Path(wiretape.__file__).parent

CORE = [
    "aligned",
    "answers",
    "bodyform",
    "canonical",
    "chance",
    "chunks",
    "compare",
    "content",
    "conversation",
    "credentials",
    "document",
    "edit",
    "errors",
    "eventstream",
    "faults",
    "format",
    "forms",
    "gate",
    "innerjson",
    "joined",
    "jsontext",
    "keyshapes",
    "lanes",
    "linear",
    "live",
    "llamastack",
    "lockstep",
    "match",
    "members",
    "miss",
    "model",
    "nearest",
    "normalise",
    "origins",
    "outer",
    "pace",
    "packs",
    "placeholder",
    "places",
    "player",
    "policy",
    "providers",
    "recode",
    "recorder",
    "redact",
    "redactrules",
    "rekey",
    "rows",
    "rulefile",
    "rules",
    "search",
    "simplepath",
    "sniff",
    "sse",
    "suggest",
    "turns",
    "upkeep",
    "websocket",
    "worddiff",
    "wording",
]
"""Values and pure functions: bytes in, values out."""

FORBIDDEN = {"aiohttp", "asyncio", "click", "mitmproxy", "pydantic", "pytest", "rich", "socket"}
IMPURE = {
    "datetime",
    "io",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "subprocess",
    "tempfile",
}
IMPURE |= {"threading", "time", "urllib.request"}


def nodes(module: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8")))


def calls(module: str) -> list[str]:
    """The functions that a module calls by a plain name."""
    found = [node.func for node in nodes(module) if isinstance(node, ast.Call)]
    return [function.id for function in found if isinstance(function, ast.Name)]


def imports(module: str) -> Iterator[str]:
    """What a module imports by name; a neighbour as ".name"."""
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level and not node.module:
            yield from ("." + alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


@pytest.mark.parametrize("module", CORE)
def test_a_core_module_loads_nothing_that_is_not_the_cores(module: str) -> None:
    code = f"import sys, wiretape.{module}\nprint(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) & FORBIDDEN == set()


@pytest.mark.parametrize("module", CORE)
def test_a_core_module_imports_only_core_modules(module: str) -> None:
    neighbours = {name[1:] for name in imports(module) if name.startswith(".")}
    assert neighbours - set(CORE) == set()


@pytest.mark.parametrize("module", CORE)
def test_a_core_module_reads_no_clock_no_file_and_no_environment(module: str) -> None:
    assert set(imports(module)) & IMPURE == set()
    assert set(calls(module)) & {"open", "print", "input", "exec", "eval"} == set()


def test_a_module_that_breaks_the_rule_would_be_found() -> None:
    assert {".server", ".front"} <= set(imports("doors"))
    assert {"float", "repr"} <= set(calls("jsontext"))
