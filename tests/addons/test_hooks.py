"""A run has the hook classes that its mode needs, in the order mitmproxy calls them."""

from pathlib import Path

import pytest
from tests.support.parts import parts_in

from wiretape.core.cost.prices import Money
from wiretape.run.proxies import hooks_of
from wiretape.run.settings import Mode
from wiretape_mitm.hooks import Hooks

FIRST = ["admission", "ownport", "connections"]


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))


def classes(hooks: Hooks) -> list[str]:
    return [guarded.name for guarded in hooks.chain]


@pytest.mark.parametrize(
    ("mode", "middle"),
    [
        ("record", ["recordflow"]),
        ("replay", ["replayflow"]),
        ("auto", ["replayflow", "recordflow"]),
    ],
)
async def test_a_mode_has_its_hooks_in_order(tmp_path: Path, mode: Mode, middle: list[str]) -> None:
    parts = parts_in(tmp_path, mode)
    hooks = hooks_of(parts)
    assert classes(hooks) == [*FIRST, *middle, "doorlinks"]
    assert hooks.under_way == 0
    await hooks.idle()
    hooks.abandon()
    await parts.finish()


async def test_only_a_run_that_records_lets_providers_be_reached(tmp_path: Path) -> None:
    provider = ("api.openai.com", 443)
    recording = parts_in(tmp_path, "record")
    assert hooks_of(recording).exits.why_closed(provider) is None
    await recording.finish()
    replaying = hooks_of(parts_in(tmp_path, "replay"))
    assert "no provider is ever connected to" in (replaying.exits.why_closed(provider) or "")


async def test_a_budget_stands_before_what_goes_out(tmp_path: Path) -> None:
    for budget in (None, Money.parse("2USD")):
        parts = parts_in(tmp_path, "record", budget=budget)
        hooks = hooks_of(parts)
        assert hooks._record_flow is not None
        assert (hooks._record_flow._rules.spending is not None) is (budget is not None)
        await parts.finish()
