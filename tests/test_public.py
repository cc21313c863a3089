"""What others may import is stated, documented and cheap to import."""

import inspect
import re
import subprocess
import sys

import pytest
from packaging.version import Version

import wiretape
from wiretape.cli.main import main

PUBLIC = {
    *("replay", "record", "auto", "refresh", "Proxy", "ProxySession", "Result", "RunFailed"),
    *("open", "Recording", "Recordings", "Request", "Response", "Chunk"),
    *("WiretapeError", "ConfigError", "FormatError", "StoreError", "__version__"),
}
"""A name that is added here is kept from then on; one that goes breaks somebody's program."""

FRAMEWORKS = {"aiohttp", "asyncio", "click", "mitmproxy", "pydantic", "rich", "yaml"}


def test_all_names_what_is_public() -> None:
    assert set(wiretape.__all__) == PUBLIC
    assert len(wiretape.__all__) == len(PUBLIC)


def test_what_is_not_public_is_not_there() -> None:
    names = {name for name, value in vars(wiretape).items() if not inspect.ismodule(value)}
    assert {name for name in names if not name.startswith("_")} <= {*PUBLIC, "TYPE_CHECKING"}
    assert set(dir(wiretape)) >= PUBLIC
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        _ = wiretape.nothing_of_that_name  # type: ignore[attr-defined]  # a checker sees it too


def test_a_package_takes_no_public_name() -> None:
    code = "import wiretape.cli.main, wiretape.run.run, wiretape_mitm.embedded, wiretape as w"
    names = ", ".join(f"w.{name}" for name in sorted(PUBLIC))
    command = [sys.executable, "-c", f"{code}; print(*(type(x).__name__ for x in ({names})))"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "module" not in ran.stdout.split()


def test_what_is_public_is_documented() -> None:
    for name in PUBLIC - {"__version__"}:
        assert inspect.getdoc(getattr(wiretape, name)), name


def test_the_package_says_what_is_public() -> None:
    assert "`__all__`" in (wiretape.__doc__ or "")
    assert str(Version(wiretape.__version__)) == wiretape.__version__


def test_importing_the_package_alone_loads_nothing() -> None:
    code = "import sys; old = set(sys.modules); import wiretape; print(*set(sys.modules) - old)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["wiretape"]


def test_importing_the_package_loads_no_framework() -> None:
    code = "import sys; from wiretape import *; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) & FRAMEWORKS == set()


def test_every_command_says_what_it_does() -> None:
    for name, command in main.commands.items():
        first = (command.help or "").partition("\n")[0]
        assert first, name
        assert re.match(r"[A-Z][a-z]+ ", first), f"{name}: begin with a verb: {first}"
