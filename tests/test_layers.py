"""Who may import whom: the core is pure, imports point inwards, no two packages need each other.

`ALLOWED` is the architecture. A module belongs to the longest name here that its own begins with.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tests.support import paths
from tests.support.cases import check_each, in_one_test
from tests.support.syntax import kept_trees, statements, tree_of

LEAVES = {"core", "core.text"}
CORE = {
    *LEAVES,
    *(f"core.{name}" for name in ("wire", "recording", "providers", "redaction", "matching")),
    *(f"core.{name}" for name in ("capture", "playback", "cost")),
}
ALLOWED = {
    "wiretape": {"core", "core.cost", "api"},
    "core": set[str](),
    "core.text": {"core"},
    "core.wire": LEAVES,
    "core.providers": LEAVES,
    "core.recording": {*LEAVES, "core.wire"},
    "core.redaction": {*LEAVES, "core.wire", "core.recording"},
    "core.matching": {*LEAVES, "core.wire", "core.recording", "core.providers", "core.redaction"},
    "core.cost": {*LEAVES, "core.wire"},
    "core.conversation": {
        *(*LEAVES, "core.wire", "core.recording", "core.matching", "core.redaction", "core.cost"),
    },
    "core.drift": {*LEAVES, "core.wire", "core.recording", "core.conversation"},
    "core.capture": {*LEAVES, "core.wire"},
    "core.playback": CORE - {"core.wire", "core.capture", "core.cost"},
    "library": {*CORE},
    "config": {*CORE - {"core.capture"}, "core.drift"},
    "report": CORE - {"core.capture", "core.playback"},
    "tls": {*LEAVES},
    "sequences": {*LEAVES},
    "stores": {*LEAVES, "core.recording", "library"},
    "sessions": {*CORE, "library", "report", "sequences"},
    "intake": {*CORE, "core.conversation", "library", "report", "sessions"},
    "engine": {
        *(*CORE, "core.conversation", "library", "report", "sequences", "sessions", "tls"),
    },
    "exchange_formats": {*CORE, "core.conversation", "intake", "library", "report", "sessions"},
    "wiretape_mitm": {
        *(*CORE, "core.conversation", "engine", "exchange_formats", "intake", "report"),
        *("sessions", "tls"),
    },
    "scanning": {*CORE, "library"},
    "maintenance": {
        *(*CORE, "config", "core.conversation", "engine", "library", "report", "scanning"),
        "sessions",
    },
    "demo": {*LEAVES, "tls"},
}
SHELLS = set(ALLOWED) - {"exchange_formats", "maintenance", "scanning", "demo"}
ALLOWED |= {
    "doctor": {*LEAVES, "core.recording", "config"},
    "starter": {*LEAVES, "core.providers"},
    "ui": {
        *(*CORE, "config", "core.conversation", "library", "maintenance", "report", "scanning"),
        "sessions",
    },
    "telemetry": {*CORE, "core.conversation", "library", "report"},
    "run": {*SHELLS, "maintenance", "telemetry", "ui"},
    "calibration": {*SHELLS, "run"},
    "drift": {*SHELLS, "maintenance", "run"},
    "cli": {*ALLOWED, "run", "calibration", "doctor", "drift", "starter", "telemetry", "ui"},
    "__main__": {"cli"},
    "api": {*LEAVES, "core.redaction", "library", "maintenance"},
}
ALLOWED |= {"wiretape_mitm.mitmdump": {*SHELLS, "run"}}
"""For each package the others that its modules may import; the shells also what lies at the top."""

for name, allowed in ALLOWED.items():
    if not name.startswith("core"):
        allowed.add("wiretape")

DOORS_TO_MITMPROXY = {"wiretape.run.proxies", "wiretape.exchange_formats.formats"}
"""The only modules of `proxy/` that import mitmproxy's side, and only in functions: one when
something is recorded, one when a file of mitmproxy's is read.
"""

FRAMEWORKS = {"aiohttp", "asyncio", "click", "mitmproxy", "pydantic", "pytest", "rich", "socket"}
IMPURE = {"datetime", "io", "logging", "os", "pathlib", "random", "secrets", "subprocess"}
FRAMEWORKS |= {"jinja2"}
IMPURE |= {"tempfile", "threading", "time", "urllib.request"}


@cache
def modules() -> dict[str, Path]:
    """Every module of the product by its full name."""
    roots = {"wiretape": paths.ROOT / "proxy", "wiretape_mitm": paths.ROOT / "addons"}
    found = {}
    for top, root in roots.items():
        for file in sorted((root / top).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


def package(module: str) -> str:
    """The part of the architecture that a module belongs to."""
    name = module.removeprefix("wiretape.")
    return next(known for known in _enclosing(name) if known in ALLOWED)


def _enclosing(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]
    yield "wiretape"


@pytest.fixture(scope="module", autouse=True)
def _trees() -> Iterator[None]:
    with kept_trees():
        yield


def tree(module: str) -> ast.Module:
    return tree_of(modules()[module].read_text(encoding="utf-8"))


@cache
def imports(module: str) -> set[str]:
    """The modules that a module imports anywhere in it, by their full names."""
    found = set()
    for node in statements(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                is_package = modules()[module].name == "__init__.py"
                here = module if is_package else module.rpartition(".")[0]
                base = f"{here}.{base}".rstrip(".")
            found.add(base)
            found |= {f"{base}.{alias.name}" for alias in node.names} & set(modules())
    return found


@cache
def crossings() -> tuple[tuple[str, str, str], ...]:
    """Each import between packages: module, imported module, and the latter's package."""
    return tuple(
        (module, other, package(other))
        for module in modules()
        for other in sorted(imports(module) & set(modules()))
        if package(other) != package(module)
    )


@pytest.mark.parametrize("name", sorted(ALLOWED))
def test_a_package_imports_only_what_the_architecture_allows(name: str) -> None:
    wrong = [
        f"{module} -> {other}"
        for module, other, target in crossings()
        if package(module) == name and target not in ALLOWED[name]
        if not (module in DOORS_TO_MITMPROXY and target == "wiretape_mitm")
    ]
    assert wrong == []


@pytest.mark.parametrize("door", sorted(DOORS_TO_MITMPROXY))
def test_a_door_to_mitmproxy_is_opened_only_when_it_is_needed(door: str) -> None:
    at_the_top = [
        node.module for node in tree(door).body if isinstance(node, ast.ImportFrom) and node.module
    ]
    assert not [name for name in at_the_top if name.startswith("wiretape_mitm")]
    assert any(other.startswith("wiretape_mitm") for other in imports(door))


def test_nothing_under_proxy_imports_mitmproxy() -> None:
    importers = {
        module
        for module in modules()
        if any(name.partition(".")[0] == "mitmproxy" for name in imports(module))
    }
    assert {module.partition(".")[0] for module in importers} == {"wiretape_mitm"}


def test_no_two_modules_need_each_other() -> None:
    needs = {
        module: {name for name in imports(module) & set(modules()) if name != module}
        for module in modules()
    }
    while leaves := [name for name, needed in needs.items() if not needed & set(needs)]:
        for name in leaves:
            del needs[name]
    assert sorted(needs) == [], "these import each other, or what imports each other"


def test_a_core_module_reads_no_clock_no_file_and_no_environment() -> None:
    def check_pure(module: str) -> None:
        called = {
            node.func.id
            for node in ast.walk(tree(module))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert imports(module) & (IMPURE | FRAMEWORKS) <= {"datetime"}
        assert called & {"open", "print", "input", "exec", "eval"} == set()

    core = [module for module in modules() if module.startswith("wiretape.core")]
    check_each(check_pure, {module: module for module in core})


def test_the_core_loads_no_framework() -> None:
    core = [module for module in modules() if module.startswith("wiretape.core")]
    code = "import sys\n" + "".join(f"import {m}\n" for m in core) + "print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) & FRAMEWORKS == set()


@in_one_test("name", sorted(set(ALLOWED) - {"__main__", "wiretape_mitm.mitmdump"}))
def test_a_package_says_what_lives_there(name: str) -> None:
    first = name if name.startswith("wiretape") else f"wiretape.{name}"
    text = ast.get_docstring(tree(first)) or ""
    assert text.count(".") >= 2


def test_what_breaks_the_rules_would_be_found() -> None:
    assert "wiretape.engine.front" in imports("wiretape.run.proxies")
    assert package("wiretape.core.text.exact_json") == "core.text"
    assert package("wiretape_mitm.addon") == "wiretape_mitm"
