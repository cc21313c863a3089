"""Which wiretape the plugin finds."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from pytest_wiretape import program as starting
from pytest_wiretape.program import WiretapeProblem, find_program
from tests.support import paths

SOURCES = sorted((paths.ROOT / "integrations" / "pytest" / "pytest_wiretape").glob("*.py"))


def program(folder: Path, name: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_the_one_beside_is_found_first(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path)}
    program(tmp_path, "wiretape")
    assert find_program(None, environ) == [sys.executable, "-P", "-m", "wiretape"]
    named = program(tmp_path / "elsewhere", "mine")
    assert find_program(None, {**environ, "WIRETAPE_BIN": named}) == [named]
    assert find_program(named, {**environ, "WIRETAPE_BIN": "other"}) == [named]


def test_without_it_path_tools_and_uvx_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", nothing)
    environ = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    with pytest.raises(WiretapeProblem, match="uv tool install wiretape"):
        find_program(None, environ)
    uvx = program(tmp_path / "bin", "uvx")
    assert find_program(None, environ) == [uvx, "wiretape"]
    tool = program(tmp_path / ".local" / "bin", "wiretape")
    assert find_program(None, environ) == [tool]
    other = program(tmp_path / "tools", "wiretape")
    assert find_program(None, {**environ, "UV_TOOL_BIN_DIR": str(tmp_path / "tools")}) == [other]
    on_path = program(tmp_path / "bin", "wiretape")
    assert find_program(None, environ) == [on_path]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo hello; exec sleep 1000", "status -9.*\n.*too old"),
        ('echo \'{"wiretape_pipe": 2, "version": "9"}\'; exec sleep 1000', "9.* is newer"),
        ("exec sleep 1000", "status -9.*\n.*too old"),
        ("echo no such command >&2; exit 2", "status 2.: no such command\n.*too old"),
    ],
)
def test_another_program_of_that_name_is_told_and_ended(
    script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script.startswith("exec"):
        monkeypatch.setattr(starting, "_START_SECONDS", 0.1)
    path = Path(program(tmp_path, "wiretape"))
    path.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\n{script}\n")
    with pytest.raises(WiretapeProblem, match=reason):
        starting.Program([str(path)])
    if (tmp_path / "pid").exists():
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)


def test_its_wheel_holds_the_plugin_and_needs_pytest_alone(tmp_path: Path) -> None:
    folder = paths.ROOT / "integrations" / "pytest"
    shutil.copytree(folder, tmp_path / "tree", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*command, str(tmp_path / "tree")], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    info = next(name for name in files if name.endswith("/METADATA")).rpartition("/")[0]
    held = {name for name in files if not name.startswith(info)}
    assert held == {f"pytest_wiretape/{file.name}" for file in SOURCES} | {
        "pytest_wiretape/py.typed"
    }
    assert re.findall("^Requires-Dist: (.*)$", files[f"{info}/METADATA"], re.M) == ["pytest>=7.4"]
    assert "wiretape = pytest_wiretape.plugin" in files[f"{info}/entry_points.txt"]
    (sdist,) = tmp_path.glob("*.tar.gz")
    assert wheel.name.startswith(sdist.name.removesuffix(".tar.gz"))


def test_the_plugin_cannot_clash_with_what_a_user_depends_on() -> None:
    needed = set()
    for source in SOURCES:
        tree = ast.parse(source.read_text(), feature_version=(3, 9))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                needed |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                needed.add((node.module or "").partition(".")[0])
    assert needed - sys.stdlib_module_names == {"pytest"}
