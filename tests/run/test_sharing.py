"""Which runs share their sequences, and what clients get when they no longer can."""

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.support import stored
from tests.support.limits import PATIENCE
from tests.support.redis_server import redis_server

from wiretape.config.load import load
from wiretape.core.errors import ConfigError
from wiretape.report.report import EXIT_REFUSED, Report
from wiretape.run.run import started
from wiretape.run.settings import Mode, Settings
from wiretape.run.sharing import shared_sessions
from wiretape.sequences.shared_log import SequencesLost
from wiretape.sessions.sessions import Sessions


def settings(text: str, mode: Mode = "replay", **others: Any) -> Settings:
    Path("config.yaml").write_text(text)
    config = load(None, {})
    return Settings(mode=mode, config=config, recordings=Path("r"), pace=config.pace, **others)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("text", "others", "reason"),
    [
        ("sequences: redis://h", {}, "--run NAME"),
        ("sequences: redis://h", {"run_name": "a{b}"}, "--run NAME"),
        ("sequences: $GONE", {"run_name": "a", "environ": {}}, r"\$GONE is not what it should be"),
        ("sequences: $U", {"run_name": "a", "environ": {"U": "http://u:hunter2@h"}}, "redis://"),
        ("sequences: redis://h", {"run_name": "a", "mode": "auto"}, "only replay shares takes"),
    ],
)
def test_a_run_that_could_only_guess_is_not_begun(
    text: str, others: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        shared_sessions(settings(text, **others), None, Report("replay"))  # type: ignore[arg-type]  # not reached
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://h", "redis://", "redis://user@", "h:6379"])
def test_what_is_not_a_redis_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml:1: sequences: .*expected redis://"):
        settings(f"sequences: {url}")


def test_without_the_setting_nothing_is_shared_and_a_recording_run_shares_nothing() -> None:
    report = Report("replay")
    sessions: Sessions = None  # type: ignore[assignment]  # not reached
    assert shared_sessions(settings("{}"), sessions, report) is None
    assert shared_sessions(settings("sequences: $GONE", "record"), sessions, report) is None


def test_a_redis_that_is_not_there_ends_the_run_before_it_begins() -> None:
    async def run() -> None:
        async with started(
            settings("sequences: redis://:hunter2@127.0.0.1:1", run_name="a"),
            Report("replay"),
            asyncio.Event(),
        ):
            pytest.fail("it began")

    with pytest.raises(SequencesLost, match=r"redis://127\.0\.0\.1:1 \(sequences\)") as caught:
        asyncio.run(run())
    assert "hunter2" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
async def test_a_redis_that_is_lost_answers_503_and_fails_the_run(tmp_path: Path) -> None:
    stored.put(tmp_path / "r", stored.document("hi"))
    body = stored.exchange("hi").request.body

    def ask(url: str, data: bytes | None) -> tuple[int, str]:
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(url, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    report = Report("replay")
    with redis_server(tmp_path) as server:
        text = f"sequences: {server.url}"
        async with started(settings(text, run_name="a"), report, asyncio.Event()) as proxy:
            target = f"{proxy.base_url}/api.together.xyz/v1/chat/completions"
            assert (await asyncio.to_thread(ask, target, body))[0] == 200
            assert (await asyncio.to_thread(ask, f"{proxy.base_url}/readyz", None))[0] == 200
            server.stop()
            status, answer = await asyncio.to_thread(ask, target, body)
            assert (status, report.exit_status) == (503, EXIT_REFUSED)
            assert "does not answer" in json.loads(answer)["error"]["message"]
            assert (await asyncio.to_thread(ask, f"{proxy.base_url}/readyz", None))[0] == 503
            assert (await asyncio.to_thread(ask, f"{proxy.base_url}/healthz", None))[0] == 200
            server.start()
            status, answer = await asyncio.to_thread(ask, target, body)
            assert (status, "has lost" in answer) == (503, True)
    assert report.counts["replayed"] == 1
