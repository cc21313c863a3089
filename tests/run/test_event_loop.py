"""Which loop a run uses, and what is said where there is no such."""

import asyncio
import sys

import pytest

from wiretape.core.errors import ConfigError
from wiretape.run.event_loop import loop_factory, run_in_loop


async def name_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


@pytest.mark.parametrize("name", ["", "asyncio", "uvloop"])
def test_the_loop_is_the_one_that_the_variable_names(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    monkeypatch.setenv("WIRETAPE_LOOP", name)
    assert run_in_loop(name_of_loop()) == (name or "asyncio")


def test_a_loop_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_LOOP", "trio")
    with pytest.raises(ConfigError, match="WIRETAPE_LOOP=trio: expected asyncio or uvloop"):
        run_in_loop(name_of_loop())


def test_uvloop_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(ConfigError, match="uvloop: it is not installed; install it beside"):
        loop_factory({"WIRETAPE_LOOP": "uvloop"})
