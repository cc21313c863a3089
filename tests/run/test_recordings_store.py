"""A run that replays from a store fetches what it answers with, and keeps nobody waiting."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.support import stored
from tests.support.limits import PATIENCE
from tests.support.parts import settings_in

from wiretape.config.load import load
from wiretape.config.schema import File
from wiretape.core.playback.pace import Pace
from wiretape.engine.engine import Engine
from wiretape.report.report import Report
from wiretape.run import recordings_store
from wiretape.run.compose import Parts, compose
from wiretape.run.edits import PartEdit
from wiretape.run.recordings_store import with_store
from wiretape.run.settings import Settings
from wiretape.store_url import mirror_of
from wiretape.stores import manifest, transfer
from wiretape.stores.store import ObjectStore, OutOfReach, StoredObject

pytest.importorskip("obstore", reason="obstore is in wiretape[fleet]")

# The engine's own: it names an attribute of a request by a text.
pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")


class SlowStore(ObjectStore):
    """A store whose recordings wait until they are let go, or cannot be had."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.is_down = False
        self.go = threading.Event()
        self.waiting = threading.Event()

    def read(self, name: str) -> StoredObject | None:
        if not name.startswith(".wiretape/"):
            if self.is_down:
                raise OutOfReach("s3://b at http://127.0.0.1:1 does not answer")
            self.waiting.set()
            assert self.go.wait(PATIENCE)
        return super().read(name)


class Running:
    """A run on a store, and what it answers."""

    def __init__(self, store: SlowStore, parts: Parts, port: int) -> None:
        self.store, self.parts, self._port = store, parts, port

    async def ask(self, prompt: str) -> tuple[int, Any]:
        body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
        data = json.dumps(body, separators=(",", ":"))
        headers = {"content-type": "application/json"}
        proxy = f"http://127.0.0.1:{self._port}/api.together.xyz/v1/chat/completions"
        async with (
            aiohttp.ClientSession() as client,
            client.post(proxy, data=data, headers=headers) as answer,
        ):
            return answer.status, await answer.json()


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    url = f"file://{tmp_path}/store"
    (tmp_path / "config.yaml").write_text(f"recordings: {url}\n")
    config = load(tmp_path / "config.yaml", {})
    for prompt in ("one", "three", "fourth"):
        stored.put(tmp_path / "r", stored.document(prompt))
    store = SlowStore(url)
    store.go.set()
    plan = transfer.plan_push(transfer.local_files(tmp_path / "r"), manifest.list_files(store))
    transfer.push(store, tmp_path / "r", plan)
    recordings_store.update_index(config, recordings_store.on_demand(config, store, tmp_path / "r"))
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "another"))
    monkeypatch.setattr("wiretape.stores.store.ObjectStore", lambda *_: store)
    report = Report("replay")
    settings = load(tmp_path / "config.yaml", {})
    run = Settings(mode="replay", config=settings, recordings=settings.recordings, pace=Pace())
    parts = compose(await with_store(run, report), report)
    assert parts.replayer is not None
    store.go.clear()
    engine = Engine(parts.replayer, Pace(), None)
    yield Running(store, parts, await engine.start())
    store.go.set()
    await engine.stop()
    await parts.finish()


async def test_who_is_answered_from_here_does_not_wait_for_who_is_not(running: Running) -> None:
    running.store.go.set()
    assert (await running.ask("one"))[0] == 200
    running.store.go.clear()
    running.store.waiting.clear()
    cold = asyncio.create_task(running.ask("three"))
    await asyncio.to_thread(running.store.waiting.wait, PATIENCE)
    status, answer = await running.ask("one")
    assert (status, answer["id"], cold.done()) == (200, "chatcmpl-3", False)
    running.store.go.set()
    status, answer = await cold
    assert (status, answer["id"]) == (200, "chatcmpl-5")
    assert running.parts.report.exit_status == 0


async def test_a_store_that_is_gone_is_told_and_is_no_miss(running: Running) -> None:
    running.store.is_down = True
    status, answer = await running.ask("one")
    assert status == 503
    assert "s3://b at http://127.0.0.1:1 does not answer" in answer["error"]["message"]
    assert running.parts.report.exit_status == 4
    running.store.is_down = False
    running.store.go.set()
    assert (await running.ask("one"))[0] == 200


async def test_what_holds_a_secret_of_this_machine_alone_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was recorded as it is, where nobody knew that it is secret."""
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    url, secret = f"file://{tmp_path}/store", "Tq7-vanilla-Xk29"
    for take in ("1", "2"):
        document = stored.document(f"open {secret}", f"2026-11-20T17:30:0{take}Z")
        stored.put(tmp_path / "store", document, f"{stored.CHAT}/aaaaaaaaaaaa.{take}.json")
    stored.put(tmp_path / "store", stored.document("open something else"))
    text = f"recordings: {url}\nredact:\n  env: [DOOR]\n"
    settings = settings_in(tmp_path, "replay", text, recordings=mirror_of(url))
    config = load(tmp_path / "config.yaml", {"DOOR": secret})
    report = Report("replay")
    parts = compose(await with_store(replace(settings, config=config), report), report)
    assert parts.replayer is not None
    engine = Engine(parts.replayer, Pace(), None)
    run = Running(SlowStore(url), parts, await engine.start())
    assert (await run.ask(f"open {secret}"))[0] == 200
    assert (await run.ask(f"open {secret}"))[0] == 200
    assert (await run.ask("open everything"))[0] == 400
    assert len(parts.sessions.own.used) == 2
    assert parts.report.exit_status == 3
    await engine.stop()
    await parts.finish()


async def test_a_miss_is_explained_by_what_is_nearest(running: Running) -> None:
    running.store.go.set()
    status, answer = await running.ask("three!")
    assert status == 400
    assert "three" in answer["error"]["message"]
    assert running.parts.report.exit_status == 3


def test_recordings_in_a_folder_need_no_store(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, "replay")
    assert asyncio.run(with_store(settings, Report("replay"))) is settings


def test_another_folder_that_was_named_goes_before_the_store(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, "replay", f"recordings: file://{tmp_path}/store\n")
    assert asyncio.run(with_store(settings, Report("replay"))) is settings


def test_a_run_that_edits_answers_has_all_of_them_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIRETAPE_HOME", str(tmp_path / "home"))
    path = stored.put(tmp_path / "store", stored.document("Hi"))
    url = f"file://{tmp_path}/store"
    settings = settings_in(tmp_path, "replay", f"recordings: {url}\n", recordings=mirror_of(url))
    edited = replace(settings, edits=(PartEdit(path.stem, "text", "Hello"),))
    assert asyncio.run(with_store(edited, Report("replay"))).mirror is not None
    copy = mirror_of(url) / path.relative_to(tmp_path / "store")
    assert copy.read_bytes() == path.read_bytes()


def test_every_key_of_the_configuration_is_known_to_matter_or_not() -> None:
    """One that decides keys and is left out would give an index of other rules."""
    assert set(File.model_fields) - recordings_store.BESIDE_KEYS == {"providers", "match", "redact"}
    assert set(File.model_fields) > recordings_store.BESIDE_KEYS
