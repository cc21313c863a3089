"""A run has the parts that its mode needs, or does not begin."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.parts import parts_in
from tests.support.stored import document, key12, put

from wiretape.config.packs import dummy_keys
from wiretape.core.cost.prices import Money
from wiretape.core.errors import ConfigError
from wiretape.run.settings import Mode


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("mode", "records", "replays"),
    [("record", True, False), ("replay", False, True), ("auto", True, True)],
)
async def test_a_mode_has_its_parts(
    tmp_path: Path, mode: Mode, records: bool, replays: bool
) -> None:
    parts = parts_in(tmp_path, mode)
    assert (parts.intake is not None, parts.replayer is not None) == (records, replays)
    assert parts.sessions.get(None).library.is_asked is replays
    await parts.finish()


async def test_refresh_asks_anew_what_is_selected(tmp_path: Path) -> None:
    put(tmp_path / "r", document("Hi"))
    parts = parts_in(tmp_path, "refresh", only=("/v1/chat/*",))
    assert parts.replayer is not None
    assert parts.replayer.policy.fresh is not None
    with pytest.raises(ConfigError, match="--only"):
        parts_in(tmp_path, "refresh", only=("",))
    await parts.finish()


async def test_a_budget_needs_prices_in_its_currency(tmp_path: Path) -> None:
    parts = parts_in(tmp_path, "record", budget=Money.parse("2USD"))
    assert parts.report.budget is not None
    await parts.finish()
    with pytest.raises(ConfigError, match="no price is in XXX; give it in USD"):
        parts_in(tmp_path, "record", budget=Money.parse("2XXX"))
    parts = parts_in(tmp_path, "replay", budget=Money.parse("2XXX"))
    assert parts.report.budget is None, "a replay costs nothing"


async def test_in_replay_the_dummy_of_a_key_is_as_secret_as_the_key(tmp_path: Path) -> None:
    stored = document("Hi")
    put(tmp_path / "r", stored)
    parts = parts_in(tmp_path, "replay")
    assert parts.replayer is not None
    dummies = {key.name: key.value for key in dummy_keys(["AWS_SECRET_ACCESS_KEY"])}
    dummy = dummies["AWS_SECRET_ACCESS_KEY"]
    assert dummy not in parts.replayer.redact(f"your key is {dummy}")


@pytest.mark.parametrize(
    ("mode", "more", "reason"),
    [
        ("record", {"live_from": 1}, "nothing goes live where CI is set"),
        ("auto", {"live_from": 1, "branch": "../up"}, "--branch ../up: "),
        ("auto", {"live_from": 1, "branch": "there"}, "--branch there: it is there already"),
        ("auto", {"after": "ffffffff"}, "ffffffff"),
        ("replay", {"session": "../up"}, "session '../up': "),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(
    tmp_path: Path, mode: Mode, more: dict[str, Any], reason: str
) -> None:
    (tmp_path / "r" / "there").mkdir(parents=True)
    with pytest.raises(ConfigError, match=reason):
        parts_in(tmp_path, mode, **more)


async def test_a_branch_goes_on_from_a_recording(tmp_path: Path) -> None:
    stored = document("Hi")
    put(tmp_path / "r", stored)
    parts = parts_in(tmp_path, "auto", after=key12(stored), branch="other")
    assert parts.sessions.own.branch is not None
    assert parts.sessions.own.branch.name == "other"
    await parts.finish()
