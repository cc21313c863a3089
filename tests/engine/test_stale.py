"""What a rule ignores and has changed since the recording is reported whichever way it was asked
for, and the notice of rules that applied to no request is true.
"""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.asked_folder import AskedFolder, HttpFolder, SocketFolder
from tests.support.paths import RECORDINGS

from wiretape.report.report import Report
from wiretape.run import ending

FOLDERS: Final = {"http": HttpFolder, "websocket": SocketFolder}
RULE: Final = {"name": "run", "ignore": ["$.run"]}

CHANGES: Final[dict[str, tuple[Any, Any]]] = {
    "another value": ({"run": 1}, {"run": 2}),
    "absent live": ({"run": 1}, {}),
    "absent in the recording": ({}, {"run": 1}),
    "another value within": ({"run": {"a": [1]}}, {"run": {"a": [1, 2]}}),
}


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> AskedFolder:
    return FOLDERS[request.param](tmp_path / "recordings")


def unapplied(folder: AskedFolder) -> list[str]:
    """The notices of rules that applied to no request."""
    report = Report("replay", applied=folder.report.applied)
    report.add(folder.report.rows[0])
    ending._explain_rules(folder.config(), report)
    return report.notices


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_a_rule_ignores_fails_a_strict_run(folder: Any, name: str) -> None:
    recorded, live = CHANGES[name]
    folder.rules = [RULE]
    folder.record({"prompt": "hi", **recorded}, "hello")
    assert folder.ask({"prompt": "hi", **live}) == "hello"
    assert {rule for _, rule in folder.report.stale} == {"run"}
    assert folder.report.exit_status == 3
    assert unapplied(folder) == []
    assert folder.ask({"prompt": "hi", **recorded}) == "hello"
    assert (folder.report.stale, folder.report.exit_status) == ({}, 0)


def test_a_rule_that_found_nothing_is_named(folder: Any) -> None:
    folder.rules = [RULE]
    folder.record({"prompt": "hi"}, "hello")
    assert folder.ask({"prompt": "hi"}) == "hello"
    (notice,) = unapplied(folder)
    assert notice.endswith("that applied to no request of this run: run")


def test_a_parameter_that_is_recorded_and_absent_live_is_reported(tmp_path: Path) -> None:
    folder = HttpFolder(tmp_path / "recordings")
    folder.rules = [{"name": "run", "ignore_query": ["run"]}]
    folder.record({"prompt": "hi"}, "hello")
    (file,) = folder.folder.rglob("*.json")
    file.write_text(file.read_text().replace("/v1/ask", "/v1/ask?run=1"))
    assert folder.ask({"prompt": "hi"}) == "hello"
    assert folder.report.stale == {("query.run", "run"): 1}


def test_each_message_of_a_connection_is_compared_once(tmp_path: Path) -> None:
    folder = SocketFolder(tmp_path / "recordings")
    folder.rules = [RULE]
    bodies = [{"prompt": str(n), "run": n} for n in range(3)]
    folder.record_all(bodies)
    replayer = folder.replayer()
    prepared = replayer.prepare(folder.opening())
    answer = replayer.answer(prepared)
    assert answer is not None
    lock = replayer.sockets.lock_step(prepared, answer)
    for body in bodies:
        lock.feed(folder.message({**body, "run": 9}))
        assert [(change.path, change.rule) for change in lock.stale] == [("body.run", "run")]
    assert lock.stale[0].recorded == 0
    assert lock.rules == {"run"}


def test_llama_stack_s_recordings_are_compared_too(tmp_path: Path) -> None:
    (seed,) = [path for path in RECORDINGS.rglob("*.json") if _is_chat(path)][:1]
    stored = json.loads(seed.read_text())["request"]
    folder = HttpFolder(tmp_path / "recordings", "api.together.xyz", "/v1/chat/completions")
    folder.rules = [{"name": "heat", "ignore": ["$.temperature"]}]
    folder.folder.mkdir()
    (folder.folder / "seed.json").write_bytes(seed.read_bytes())
    assert isinstance(folder.ask({**stored["body"], "temperature": 0.125}), str)
    assert {path for path, _ in folder.report.stale} == {"body.temperature"}


def _is_chat(path: Path) -> bool:
    request = json.loads(path.read_text()).get("request", {})
    return str(request.get("url", "")).endswith("/chat/completions")
