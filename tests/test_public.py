"""What others may import is stated, documented and cheap to import."""

import inspect
import re
import subprocess
import sys

import wiretape
from wiretape.cli.main import main

PUBLIC = {"__version__"}
"""A name that is added here is kept from then on; one that goes breaks somebody's program."""

FRAMEWORKS = {"aiohttp", "asyncio", "click", "mitmproxy", "pydantic", "rich", "yaml"}


def test_all_names_what_is_public() -> None:
    assert set(wiretape.__all__) == PUBLIC
    assert len(wiretape.__all__) == len(PUBLIC)


def test_what_is_not_public_is_not_there() -> None:
    names = {name for name, value in vars(wiretape).items() if not inspect.ismodule(value)}
    assert {name for name in names if not name.startswith("__")} == PUBLIC - {"__version__"}


def test_what_is_public_is_documented() -> None:
    for name in PUBLIC - {"__version__"}:
        assert inspect.getdoc(getattr(wiretape, name)), name


def test_the_package_says_what_is_public() -> None:
    assert "`__all__`" in (wiretape.__doc__ or "")
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+\S*", wiretape.__version__)


def test_importing_the_package_loads_no_framework() -> None:
    code = "import sys; from wiretape import *; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) & FRAMEWORKS == set()


def test_every_command_says_what_it_does() -> None:
    for name, command in main.commands.items():
        first = (command.help or "").partition("\n")[0]
        assert first, name
        assert re.match(r"[A-Z][a-z]+ ", first), f"{name}: begin with a verb: {first}"
