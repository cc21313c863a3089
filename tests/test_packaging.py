"""The project as a stranger gets it: set up from a clone, built as a wheel, installed elsewhere."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from pathspec import GitIgnoreSpec
from tests.support import paths
from tests.support.limits import PATIENCE

from wiretape.cli.main import main

ROOT = paths.ROOT


def project_files() -> Iterator[Path]:
    """What git would hold: every file that .gitignore does not name, relative to the root."""
    ignored = GitIgnoreSpec.from_lines((ROOT / ".gitignore").read_text().splitlines())
    for folder, folders, files in os.walk(ROOT):
        inside = Path(folder).relative_to(ROOT)
        folders[:] = [
            name
            for name in sorted(folders)
            if name != ".git" and not ignored.match_file(f"{inside / name}/")
        ]
        for name in sorted(files):
            # a worktree's .git is a file
            if name != ".git" and not ignored.match_file(inside / name):
                yield inside / name


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without what could make another Python find this checkout."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"} and "_proxy" not in name.lower()
    }
    return kept | more


# Names that no project file may hold


# Joined here so that this file does not hold them either.
FORBIDDEN = re.compile(
    "|".join(
        [rf"(?<![\w.~])/{folder}/" for folder in ("work", "root", "farm", "tmp/w")]
        + [
            re.escape(".".join(host))
            for host in (
                ("pypi", "org"),
                ("pythonhosted", "org"),
                ("npmjs", "org"),
                ("npmjs", "com"),
                ("yarnpkg", "com"),
            )
        ]
    ).encode()
)


def test_no_project_file_names_a_machine_path_or_a_package_registry() -> None:
    found = []
    for path in project_files():
        content = (ROOT / path).read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.splitlines(), 1):
            if match := FORBIDDEN.search(line):
                found.append(f"{path}:{number}: {match[0].decode()}")
    assert found == []


@pytest.mark.parametrize(
    "line", ["see " + "/wo" + "rk/main", "https://" + "pypi" + ".org/simple", '"/ro' + 'ot/x"']
)
def test_forbidden_names_are_seen(line: str) -> None:
    assert FORBIDDEN.search(line.encode())


@pytest.mark.parametrize("line", ["docs/work/x", "https://example.com/root/x", "~/work/x"])
def test_folders_of_such_a_name_elsewhere_are_no_machine_paths(line: str) -> None:
    assert not FORBIDDEN.search(line.encode())


# requirements.lock


def dependencies() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    return [Requirement(line) for line in lines]


def pins() -> list[tuple[str, str, str]]:
    """Name, version and the lines with hashes of each pin, in order."""
    text = (ROOT / "requirements.lock").read_text()
    return re.findall(r"^([a-z0-9-]+)==(\S+)(?: ;[^\\\n]*)? \\\n((?: {4}.*\n)+)", text, re.M)


@pytest.mark.parametrize("dependency", dependencies(), ids=lambda d: d.name)
def test_every_dependency_is_pinned_within_its_range(dependency: Requirement) -> None:
    name = re.sub(r"[-_.]+", "-", dependency.name).lower()
    versions = [version for pinned, version, _ in pins() if pinned == name]
    assert versions
    assert [v for v in versions if not dependency.specifier.contains(v)] == []


def test_lock_holds_nothing_but_pins_with_sha256_hashes() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    hashes = [line for _, _, block in pins() for line in block.splitlines()]
    assert len(lines) == len(pins()) + len(hashes)
    assert [
        line for line in hashes if not re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line)
    ] == []


def test_lock_names_no_address() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()


# The wheel


# What lies about in a checkout that is worked in: names and parts of names that nobody is sent.
LITTER = (
    *("module.py.orig", "module.py.rej", "module.py.bak", "module.py~", ".module.py.swp"),
    *("__pycache__/module.cpython-313.pyc", ".DS_Store", ".env", ".coverage", "debug.log", "x.tmp"),
    *(".mypy_cache/x.json", ".pytest_cache/x", ".ruff_cache/x", ".hypothesis/x", ".cache/x"),
    *("node_modules/x/index.js", ".venv/x.py", ".idea/x.xml", ".vscode/x.json"),
)
UNWANTED = re.compile(
    r"(^|/)(__pycache__|node_modules|build|dist|[^/]*\.egg-info)/"
    r"|\.(orig|rej|bak|pyc|pyo|swp|tmp|log|pem|key|sqlite3?|db)$|~$"
)
"""Merge and editor leftovers, what is compiled, run, built or logged, keys and caches."""
DOTTED = {".ci", ".gitattributes", ".gitignore", ".pre-commit-hooks.yaml", ".python-version"}
"""The only names of an sdist that begin with a dot; in a wheel there is none."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an sdist, and of the wheel that was built from it, of a littered checkout."""
    place = tmp_path_factory.mktemp("built")
    for path in project_files():
        (place / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, place / "tree" / path)
    for folder in ("", "proxy/wiretape/core", "addons/wiretape_mitm", "recordings", "tests"):
        for name in LITTER:
            litter = place / "tree" / folder / name
            litter.parent.mkdir(parents=True, exist_ok=True)
            litter.write_text("litter")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(place)]
    built = subprocess.run(
        [*command, str(place / "tree")],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return place


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(built: Path) -> dict[str, bytes]:
    """What an sdist holds, by its name in the project."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        files = [member for member in archive if not member.isdir()]
        assert [member.name for member in files if not member.isfile()] == [], "links"
        return {
            member.name.partition("/")[2]: file.read()
            for member in files
            if (file := archive.extractfile(member)) is not None
        }


@pytest.fixture(scope="module")
def wheel_files(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel alone and sees this one's packages behind it."""
    place = tmp_path_factory.mktemp("installed") / "an environment"
    venv.create(place, symlinks=True, with_pip=False)
    paths = sysconfig.get_paths(vars={"base": str(place), "platbase": str(place)}, scheme="venv")
    # A folder named in a .pth is searched, but its own .pth files, as that of the editable
    # wiretape, are not read: https://docs.python.org/3/library/site.html
    Path(paths["purelib"], "behind.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    python = str(Path(paths["scripts"], "python"))
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    done = subprocess.run(
        [*command, "--no-user", "--no-index", "--no-deps", "--ignore-installed", str(wheel)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(paths["scripts"])


def outside(
    command: list[str], where: Path, **variables: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=where,
        env=clean_environment(HOME=str(where), **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.parametrize("litter", LITTER)
def test_litter_is_what_is_not_wanted(litter: str) -> None:
    assert UNWANTED.search(litter) or any(
        part.startswith(".") and part not in DOTTED for part in litter.split("/")
    )


@pytest.mark.parametrize("archive", ["sdist", "wheel_files"])
def test_nothing_unwanted_is_sent_out(archive: str, request: pytest.FixtureRequest) -> None:
    files: dict[str, bytes] = request.getfixturevalue(archive)
    dotted = DOTTED if archive == "sdist" else set()
    assert [name for name in files if UNWANTED.search(name)] == []
    parts = {part for name in files for part in name.split("/") if part.startswith(".")}
    assert parts <= dotted
    assert [name for name, content in files.items() if content == b"litter"] == []
    # RECORD holds digests, in which any letters may stand.
    assert [
        name
        for name, content in files.items()
        if b"\0" not in content and not name.endswith("/RECORD") and FORBIDDEN.search(content)
    ] == []


def test_sdist_holds_what_git_holds_and_its_metadata(sdist: dict[str, bytes]) -> None:
    project = {str(path) for path in project_files()}
    assert sdist.keys() - project == {"PKG-INFO"}
    assert [n for n in sdist if n != "PKG-INFO" and sdist[n] != (ROOT / n).read_bytes()] == []
    # A wheel and a test run can be made of it.
    needed = {
        "pyproject.toml",
        "LICENSE",
        "README.md",
        "Makefile",
        ".ci/setup",
        "requirements.lock",
    }
    assert needed <= sdist.keys()
    assert {name for name in project if name.startswith(("proxy/", "tests/"))} <= sdist.keys()


def test_wheel_holds_no_tests_and_only_kinds_of_files_that_the_program_reads(
    wheel_files: dict[str, bytes],
) -> None:
    names = [name for name in wheel_files if not re.search(r"\.dist-info/|/share/man/", name)]
    assert [
        n for n in names if re.search(r"(^|/)(tests?|conftest|test_[^/]*|benchmarks)[./]", n)
    ] == []
    assert {Path(name).suffix for name in names} <= {
        *(".py", ".cjs", ".typed", ".yaml", ".json"),
        *(".html", ".css", ".js", ".txt"),  # the page, and the licences of what comes with it
    }
    assert {n.partition(".dist-info/")[2] for n in wheel_files if ".dist-info/" in n} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_wheel_holds_the_package_and_nothing_else_to_import(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    version = wheel.name.split("-")[1]
    assert tops == {
        "wiretape",
        "wiretape_mitm",
        f"wiretape-{version}.dist-info",
        f"wiretape-{version}.data",
    }


def test_wheel_holds_every_module_and_the_recordings(wheel: Path) -> None:
    expected = {
        f"wiretape/{path.relative_to('proxy/wiretape')}"
        for path in project_files()
        if path.is_relative_to("proxy/wiretape")
    } | {f"wiretape/data/{path}" for path in project_files() if path.is_relative_to("recordings")}
    assert "wiretape/py.typed" in expected
    assert any(name.startswith("wiretape/data/recordings/") for name in expected)
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("wiretape/")}
        assert held == expected
        for name in sorted(held):
            source = name.removeprefix("wiretape/data/") if "/data/" in name else "proxy/" + name
            assert archive.read(name) == (ROOT / source).read_bytes(), name


def test_wheel_holds_the_mitmdump_scripts_as_shared_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {
            name.partition(".data/data/share/wiretape/")[2]
            for name in archive.namelist()
            if ".data/data/share/wiretape/" in name
        }
    assert held == {str(path) for path in project_files() if path.parent == Path("addons")}


def test_wheel_holds_a_man_page_of_each_command_that_roff_reads_without_a_warning(
    wheel_files: dict[str, bytes],
) -> None:
    pages = {
        name.rpartition("/")[2]: page.decode()
        for name, page in wheel_files.items()
        if ".data/data/share/man/man1/" in name
    }
    assert pages.keys() == {"wiretape.1", *(f"wiretape-{name}.1" for name in main.commands)}
    replay = pages["wiretape-replay.1"]
    assert "\n.nf\nwiretape replay \\-\\- python ask.py\n" in replay, "examples keep their lines"
    assert "\\fB\\-\\-pace\\fP PACE" in replay
    assert "wiretape\\-replay \\- Answer from the recordings only:" in replay
    if shutil.which("groff") is None:
        pytest.skip("groff is not on this machine")
    command = ["groff", "-K", "utf8", "-T", "utf8", "-man", "-ww", "-z"]
    text = "".join(pages.values())
    ran = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert (ran.returncode, ran.stderr) == (0, "")


# The version


def version_in(folder: Path) -> str:
    """The version that a build in a folder would have."""
    ran = outside([sys.executable, "-m", "hatchling", "version"], folder)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_the_version_is_that_of_the_tag_in_git_and_in_an_archive_of_it(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=n", "-c", "user.email=n@example.com"]
    if shutil.which("git") is None:
        pytest.skip("git is not on this machine")
    tree, plugin = tmp_path / "tree", Path("integrations/pytest")
    shutil.copytree(ROOT / plugin, tree / plugin, ignore=shutil.ignore_patterns("__pycache__"))
    files = ("pyproject.toml", "README.md", "LICENSE", "hatch_build.py")
    for name in (*files, ".git_archival.txt", ".gitattributes"):
        shutil.copy(ROOT / name, tree)
    assert version_in(tree) == version_in(tree / plugin) == "0.1.0.dev0", "a copy without git"
    for line in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"], ["tag", "v9.8.7"]):
        assert outside([*git, *line], tree).returncode == 0
    assert version_in(tree) == version_in(tree / plugin) == "9.8.7"
    assert outside([*git, "archive", "-o", "../it.tar", "HEAD"], tree).returncode == 0
    with tarfile.open(tmp_path / "it.tar") as archive:
        archive.extractall(tmp_path / "archive", filter="data")
    assert version_in(tmp_path / "archive") == version_in(tmp_path / "archive" / plugin) == "9.8.7"


def test_the_wheel_of_an_sdist_has_its_version_and_says_so(
    built: Path, installed: Path, tmp_path: Path
) -> None:
    (sdist,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")
    version = sdist.name.removeprefix("wiretape-").removesuffix(".tar.gz")
    assert wheel.name.startswith(f"wiretape-{version}-")
    done = outside([str(installed / "wiretape"), "--version"], tmp_path)
    assert done.stdout == f"wiretape, version {version}\n"
    code = "import wiretape; print(wiretape.__version__)"
    assert outside([str(installed / "python"), "-c", code], tmp_path).stdout == f"{version}\n"


def test_installed_wheel_is_imported_and_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    done = outside(
        [str(installed / "python"), "-c", "import wiretape; print(wiretape.__file__)"], tmp_path
    )
    assert done.stderr == ""
    assert Path(done.stdout).is_relative_to(installed.parent)


def test_installed_wheel_prints_help_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    done = outside([str(installed / "wiretape"), "--help"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: wiretape ")


def test_installed_wheel_runs_the_demo_outside_the_checkout(
    installed: Path, tmp_path: Path
) -> None:
    done = outside([str(installed / "wiretape"), "demo"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
