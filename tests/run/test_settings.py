"""What a run is to do, by the command line, the configuration and the environment."""

from pathlib import Path
from typing import Any

import pytest

from wiretape.config.load import load
from wiretape.core.errors import ConfigError
from wiretape.run.settings import Mode, Settings, in_ci


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings(mode: Mode = "replay", text: str = "", **others: Any) -> Settings:
    Path("config.yaml").write_text(text)
    config = load(None, {})
    given = {"environ": {}, **others}
    return Settings(
        mode=mode, config=config, recordings=config.recordings, pace=config.pace, **given
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("true", True), ("1", True), ("yes", True), ("woodpecker", True)),
        *(("", False), ("0", False), ("false", False), ("False", False), (None, False)),
    ],
)
def test_ci_is_what_its_variable_says(value: str | None, expected: bool) -> None:
    assert in_ci({} if value is None else {"CI": value}) is expected


@pytest.mark.parametrize(
    ("mode", "ci", "allow_none", "expected"),
    [
        ("replay", False, False, True),
        ("replay", True, False, True),
        ("record", True, False, True),
        ("auto", True, False, True),
        ("record", False, False, False),
        ("auto", False, False, False),
        ("replay", False, True, False),
        ("record", True, True, False),
    ],
)
def test_a_run_that_may_have_gone_past_the_proxy_expects_requests(
    mode: Mode, ci: bool, allow_none: bool, expected: bool
) -> None:
    environ = {"CI": "true"} if ci else {}
    given = settings(mode, environ=environ, allow_none=allow_none)
    assert given.expects_requests is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "[::1]"),
        ("::", "[::1]"),
        ("2001:db8::1", "[2001:db8::1]"),
    ],
)
def test_clients_find_the_proxy_where_it_listens(host: str, expected: str) -> None:
    assert settings(text=f"listen: {{host: '{host}'}}").client_host == expected


def test_only_a_refresh_selects_what_is_recorded_anew() -> None:
    assert settings("auto", only=("/v1/*",)).policy.fresh is None
    fresh = settings("refresh", only=("/v1/*",)).policy.fresh
    assert fresh is not None
    assert fresh.paths == ("/v1/*",)
    with pytest.raises(ConfigError, match="--only 'nonsense': expected a path"):
        _ = settings("refresh", only=("nonsense",)).policy
