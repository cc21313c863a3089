"""`make` and .ci/setup: which tool sets up what, tried with stubs on an otherwise empty PATH."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import paths
from tests.support.limits import PATIENCE
from tests.support.tools import working

ROOT = paths.ROOT

REAL = os.path.realpath(sys.executable)

UV = """#!/bin/sh
[ "$1" = --version ] && exit
echo "uv $*" >>"$LOG"
case $1 in
python) [ -z "${UV_FINDS:-}" ] && exit 2; echo "$UV_FINDS" ;;
venv) mkdir -p .venv/bin && cp "$STUB" .venv/bin/python ;;
esac
"""

# Runs what it is asked to with the real interpreter after PRELUDE, but makes a copy of itself for
# an environment, notes what pip should do, and gives its own path for sys.executable.
PYTHON = """#!/bin/sh
case "$1 $2" in
"-m venv") echo "${0##*/} $*" >>"$LOG"; mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip") echo "${0##*/} $*" >>"$LOG" ;;
-c*) shift
    printed=$("$REAL" -c "import sys; PRELUDE; exec(sys.argv.pop(1))" "$@") || exit 1
    [ -z "$printed" ] || echo "$0" ;;
*) exec "$REAL" "$@" ;;
esac
"""
FITS = "sys.version_info = (3, 13, 0); sys.modules['ensurepip'] = sys"
OLD = "sys.version_info = (3, 11, 9); sys.modules['ensurepip'] = sys"
NO_ENSUREPIP = "sys.version_info = (3, 13, 0); sys.modules['ensurepip'] = None"
SHIM = "#!/bin/sh\necho 'command not found' >&2; exit 127\n"

BROKEN = {
    "shim": SHIM,
    "shim of another tool": "#!/bin/sh\nexec no-such-manager exec uv\n",
    "no interpreter": "#!/nowhere/python\n",
    "of another machine": "\x7fELF\0 nothing that runs here",
    "killed": "#!/bin/sh\nkill -9 $$\n",
    "asks": "#!/bin/sh\nread -r answer && exit 0\nexit 1\n",
}
"""What may be called like a tool, and is none."""

UV_INSTALLS = [
    "uv pip install --quiet --python .venv/bin/python --require-hashes --compile-bytecode"
    " -r requirements.lock",
    "uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .",
]
PIP_INSTALLS = [
    "python -m pip install --quiet --no-user --require-hashes -r requirements.lock",
    "python -m pip install --quiet --no-user --no-deps --no-build-isolation -e .",
]


class Checkout:
    """A project of .ci/setup and next to nothing else, in a path with a space, and a PATH."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.folder = place / "a checkout"
        self.bin = place / "bin"
        self.log = place / "log"
        self.variables = {"PATH": str(self.bin), "LOG": str(self.log), "REAL": REAL}
        for folder in (self.folder / ".ci", self.folder / "proxy", self.bin):
            folder.mkdir(parents=True)
        shutil.copy(ROOT / ".ci" / "setup", self.folder / ".ci" / "setup")
        for name in ("pyproject.toml", "requirements.lock", ".python-version"):
            shutil.copy(ROOT / name, self.folder / name)
        (self.folder / "proxy" / "module.py").write_text("")
        # Not links to the system's own: a test that offers another one must not write through.
        for name in ("cat", "cksum", "cp", "dirname", "mkdir", "rm"):
            self.offer(name, f'#!/bin/sh\nexec "{shutil.which(name)}" "$@"\n')
        self.variables["STUB"] = str(place / "stub")
        shutil.move(self.python("stub"), place / "stub")

    def offer(self, name: str, script: str) -> str:
        path = self.bin / name
        path.write_text(script)
        path.chmod(0o755)
        return str(path)

    def python(self, name: str, prelude: str = FITS) -> str:
        return self.offer(name, PYTHON.replace("PRELUDE", prelude))

    def setup(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [".ci/setup", *arguments],
            cwd=self.folder,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def calls(self) -> list[str]:
        """What uv and the Pythons were told to do since the last time this was asked."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return lines


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_setup_uses_uv_where_a_python_is_there_too(checkout: Checkout) -> None:
    checkout.offer("uv", UV)
    checkout.python("python3.13")
    checkout.variables["UV_FINDS"] = "/opt/python3.13"
    assert checkout.setup().returncode == 0
    assert checkout.calls() == [
        "uv python find --system --no-python-downloads 3.13",
        "uv venv --quiet --python /opt/python3.13 .venv",
        *UV_INSTALLS,
    ]


def test_setup_lets_uv_download_python_where_there_is_none(checkout: Checkout) -> None:
    checkout.offer("uv", UV)
    assert checkout.setup().returncode == 0
    assert checkout.calls() == [
        "uv python find --system --no-python-downloads 3.13",
        "uv python find --system --no-python-downloads >=3.12",
        "uv venv --quiet --python 3.13 .venv",
        *UV_INSTALLS,
    ]


def test_setup_uses_python_where_uv_is_not_there(checkout: Checkout) -> None:
    checkout.python("python3.13")
    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["python3.13 -m venv .venv", *PIP_INSTALLS]


def test_setup_passes_over_a_failing_shim_an_old_python_and_one_without_ensurepip(
    checkout: Checkout,
) -> None:
    checkout.offer("python3.13", SHIM)
    checkout.python("python3.12", NO_ENSUREPIP)
    checkout.python("python3", OLD)
    checkout.python("python")
    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["python -m venv .venv", *PIP_INSTALLS]


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("arguments", [(), (".venv-3.13", "3.13")], ids=["any", "3.13"])
def test_setup_goes_on_without_a_uv_that_does_not_run(
    checkout: Checkout, script: str, arguments: tuple[str, ...]
) -> None:
    checkout.offer("uv", script)
    checkout.python("python3.13")
    done = checkout.setup(*arguments)
    assert done.returncode == 0, done.stderr
    venv = arguments[0] if arguments else ".venv"
    assert checkout.calls() == [f"python3.13 -m venv {venv}", *PIP_INSTALLS]
    assert "command not found" not in done.stderr


def test_setup_installs_without_a_uv_that_no_longer_runs(checkout: Checkout) -> None:
    checkout.offer("uv", UV)
    checkout.variables["UV_FINDS"] = checkout.python("python3.13")
    assert checkout.setup().returncode == 0
    checkout.calls()
    checkout.offer("uv", SHIM)
    with (checkout.folder / "requirements.lock").open("a") as changed:
        changed.write("# changed\n")
    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["python -m pip --version", *PIP_INSTALLS]


def test_setup_says_what_to_install_where_nothing_runs(checkout: Checkout) -> None:
    for name in ("uv", "python3.13", "python3.12", "python3", "python"):
        checkout.offer(name, SHIM)
    done = checkout.setup()
    assert done.returncode == 69
    assert "neither a working uv nor" in done.stderr


def test_setup_finds_what_pyenv_holds_behind_a_failing_shim(checkout: Checkout) -> None:
    checkout.offer("python3.13", SHIM)
    held = checkout.place / "py env" / "versions" / "3.13.0" / "bin" / "python"
    held.parent.mkdir(parents=True)
    shutil.move(checkout.python("moved"), held)
    checkout.variables["PYENV_ROOT"] = str(checkout.place / "py env")
    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["python -m venv .venv", *PIP_INSTALLS]


def test_setup_says_what_to_install_where_nothing_fits(checkout: Checkout) -> None:
    checkout.offer("python3.13", SHIM)
    checkout.python("python3", OLD)
    done = checkout.setup()
    assert done.returncode == 69
    assert done.stderr == (
        ".ci/setup: neither a working uv nor a Python from 3.12 on with venv and ensurepip is on"
        " PATH; install one of them (on Debian and Ubuntu the package python3-venv belongs to it)\n"
    )
    assert not (checkout.folder / ".venv").exists()


def test_setup_for_a_version_takes_no_other(checkout: Checkout) -> None:
    checkout.python("python3.13")
    checkout.python("python3")
    done = checkout.setup(".venv-3.12", "3.12")
    assert (done.returncode, done.stderr) == (69, ".ci/setup: there is no Python 3.12\n")


def test_second_setup_installs_nothing(checkout: Checkout) -> None:
    checkout.python("python3.13")
    checkout.setup()
    checkout.calls()
    done = checkout.setup()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert checkout.calls() == []


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_setup_after_a_change_installs_into_the_same_environment(
    checkout: Checkout, name: str
) -> None:
    checkout.python("python3.13")
    checkout.setup()
    checkout.calls()
    with (checkout.folder / name).open("a") as changed:
        changed.write("# changed\n")
    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["python -m pip --version", *PIP_INSTALLS]


def test_setup_installs_again_where_a_failed_install_was_taken_back(checkout: Checkout) -> None:
    stub = PYTHON.replace("PRELUDE", FITS)
    checkout.offer(
        "python3.13",
        stub.replace('"-m pip")', '"-m pip") [ "$3" = install ] && [ -e broken ] && exit 1;'),
    )
    checkout.setup()
    (checkout.folder / "broken").touch()
    lock = checkout.folder / "requirements.lock"
    good = lock.read_text()
    lock.write_text("changed\n")
    assert checkout.setup().returncode == 1
    (checkout.folder / "broken").unlink()
    lock.write_text(good)
    checkout.calls()
    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["python -m pip --version", *PIP_INSTALLS]


def test_setup_never_builds_an_environment_on_itself(checkout: Checkout) -> None:
    checkout.python("python3.13", f"{FITS}; sys.prefix = '.venv'")
    checkout.python("python3")
    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["python3 -m venv .venv", *PIP_INSTALLS]


def test_setup_makes_an_environment_whose_python_went_away_anew(checkout: Checkout) -> None:
    checkout.python("python3.13")
    checkout.setup()
    checkout.calls()
    (checkout.folder / ".venv" / "bin" / "python").unlink()
    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["python3.13 -m venv .venv", *PIP_INSTALLS]


def test_setup_makes_the_environment_of_a_moved_checkout_anew(checkout: Checkout) -> None:
    checkout.python("python3.13")
    checkout.setup()
    checkout.calls()
    checkout.folder = checkout.folder.rename(checkout.place / "moved")
    assert checkout.setup().returncode == 0
    assert checkout.calls() == ["python3.13 -m venv .venv", *PIP_INSTALLS]


def test_setup_compiles_the_package_though_bytecode_is_switched_off(checkout: Checkout) -> None:
    checkout.python("python3.13")
    checkout.variables["PYTHONDONTWRITEBYTECODE"] = "1"
    checkout.setup()
    compiled = [path.name for path in (checkout.folder / "proxy").rglob("*.pyc")]
    assert compiled == [f"module.{sys.implementation.cache_tag}.pyc"]


# Makefile and .ci/run

needs_make = pytest.mark.skipif(working("make") is None, reason="no make that runs is on PATH")


def make(*arguments: str) -> str:
    # MAKEFLAGS: when the tests themselves were started by make
    environment = {
        k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL", "ARGS"}
    }
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    ).stdout


@needs_make
def test_make_test_sets_up_and_hands_on_its_arguments() -> None:
    assert make("-n", "test", "ARGS=-k x") == ".ci/setup\n.venv/bin/python -m pytest -k x\n"


def run_beside(folder: Path, command: list[str], tool: str, script: str) -> tuple[int, str]:
    """A script of the project where PATH offers that for a tool first."""
    (folder / tool).write_text(script)
    (folder / tool).chmod(0o755)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stderr


@needs_make
@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_make_lock_says_that_it_needs_a_uv_that_runs(tmp_path: Path, script: str) -> None:
    before = (ROOT / "requirements.lock").read_bytes()
    status, errors = run_beside(tmp_path, ["make", "lock"], "uv", script)
    assert status == 2
    assert "make lock needs a uv that runs on PATH\n" in errors
    assert (ROOT / "requirements.lock").read_bytes() == before


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_ci_says_that_it_needs_a_make_that_runs(tmp_path: Path, script: str) -> None:
    status, errors = run_beside(tmp_path, [".ci/run"], "make", script)
    assert status == 69
    assert errors.endswith(".ci/run needs a make that runs on PATH\n")


@needs_make
def test_make_demo_sets_up_first() -> None:
    assert make("-n", "demo") == ".ci/setup\n.venv/bin/wiretape demo \n"


@needs_make
def test_make_alone_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: help (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert phony
    assert sorted(re.findall(r"^make ([a-z-]+)  ", make(), re.M)) == sorted(phony[1].split())


@pytest.mark.parametrize("name", [".ci/run", ".ci/setup"])
def test_scripts_can_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)
