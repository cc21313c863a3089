"""tests/ mirrors the packages: a module's tests are found by its name, and a file's module too."""

import re
from pathlib import Path
from typing import Final

from tests.support.paths import ROOT

TESTS: Final = ROOT / "tests"
PACKAGES: Final = {
    "": ROOT / "proxy" / "wiretape",
    "addons/": ROOT / "addons" / "wiretape_mitm",
    "integrations/": ROOT / "integrations" / "pytest" / "pytest_wiretape",
}

WITHOUT_A_MODULE: Final = {
    "fuzz/fuzz": "the fuzzer's own rounds",
    "config/agent_packs": "the packs of agents, which are data",
    "integrations/container": "the image's command, its health check and the compose file",
    "integrations/node": "the npm package, with real test runners",
    "integrations/fleet": "the examples of docs/fleet.md",
    "integrations/github": "the action at the root, and what shows its report",
    "support/cases": "how other tests check many cases in one",
    "support/upstream": "the provider that other tests rely on",
    "support/fork_server": "how other tests start wiretape",
    "addons/patches/patches": "the package: how its patches are installed",
    "core/redaction/agreement": "the redactor, the gate and scan say the same of a text",
    "core/redaction/search_work": "how much a search looks at, over several modules",
    "engine/mcp": "MCP's streamable HTTP, over several modules",
    "engine/sequences": "generated sequences of requests, over several modules",
}
"""Test files below a package's folder that are named for no module, and what they test."""

REACHED_BY: Final = {
    "sequences/shared_log": "an interface: tests/sequences hold both that implement it",
}
"""Modules without a test file of their own, and why."""


def names(folder: Path, pattern: str) -> set[str]:
    return {
        path.relative_to(folder).with_suffix("").as_posix()
        for path in folder.rglob(pattern)
        if path.name != "__init__.py"
    }


def modules() -> set[str]:
    return {prefix + name for prefix, folder in PACKAGES.items() for name in names(folder, "*.py")}


def named_for() -> set[str]:
    """What test files are named for, but for those on top and of whole runs."""
    found = (Path(name) for name in names(TESTS, "test_*.py"))
    return {
        (path.parent / path.name.removeprefix("test_")).as_posix()
        for path in found
        if path.parent != Path() and path.parts[0] != "end_to_end"
    }


def top() -> set[str]:
    """Modules that lie on top, as the tests of the project as a whole do."""
    return {path.name.removeprefix("test_") for path in map(Path, names(TESTS, "test_*.py"))
            if path.parent == Path()}  # fmt: skip


def test_each_test_file_is_named_for_a_module() -> None:
    assert named_for() - modules() - WITHOUT_A_MODULE.keys() == set()


def test_each_module_has_a_test_file_or_a_reason() -> None:
    without = modules() - named_for() - top() - REACHED_BY.keys()
    assert without == set(), "write a test file, or give a reason"


def test_no_exception_is_out_of_date() -> None:
    assert [name for name in REACHED_BY if name not in modules()] == []
    assert [name for name in REACHED_BY if name in named_for() | top()] == []
    assert [name for name in WITHOUT_A_MODULE if name not in named_for() or name in modules()] == []


def test_no_test_imports_from_another() -> None:
    """What several need lies in tests/support."""
    imports = re.compile(r"^\s*(?:from|import) tests\.(?:\w+\.)*test_\w+", re.MULTILINE)
    found = {
        path.relative_to(TESTS).as_posix(): imports.findall(path.read_text(encoding="utf-8"))
        for path in TESTS.rglob("*.py")
    }
    # A program of theirs, for another process.
    own = {"library/test_library.py": ["from tests.library.test_library"]}
    assert {name: lines for name, lines in found.items() if lines} == own
