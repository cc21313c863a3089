"""Polling by an id that every answer repeats, recorded and replayed with real commands."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support import paths, plain_client
from tests.support.commands import Wiretape
from tests.support.sdk import documents, record_options
from tests.support.upstream import Answer, Upstream

from wiretape.core.playback.policy import MISS_STATUS

STATES = ["queued"] * 3 + ["in_progress"] * 3 + ["completed"]
OLD = paths.ROOT / "tests" / "data" / "kept_df62e2d" / "recordings"
CLIENT = plain_client.program("""
import sys
with Client(base_url="https://api.openai.com/v1") as client:
    out = []
    for step in sys.argv[1:]:
        method, path = step.split(" ", 1)
        body = {"for": path} if method == "POST" else None
        got = client.request(method, path.partition("#")[0], json=body)
        out.append(got.json().get("status") if got.is_success else got.status_code)
print(json.dumps(out))
""")


def client(*steps: str) -> list[str]:
    return [sys.executable, "-c", CLIENT, *steps]


def batch(number: int, status: str, **more: Any) -> Answer:
    return Answer.json({"id": f"batch_{number}", "object": "batch", "status": status, **more})


def scripted(upstream: Upstream) -> None:
    """Two batches that take some polls, a list that names both, a file that one of them makes."""
    upstream.script("/v1/batches", batch(1, "validating"), batch(2, "validating"))
    upstream.script("/v1/batches?limit=9", Answer.json({"data": [{"id": "batch_1"}]}))
    for number in (1, 2):
        polls = [batch(number, state) for state in STATES[:-1]]
        last = batch(number, "completed", output_file_id=f"file-{number}")
        upstream.script(f"/v1/batches/batch_{number}", *polls, last)
    upstream.script(
        "/v1/files/file-1",
        Answer.json({"id": "file-1", "status": "uploaded"}),
        Answer.json({"id": "file-1", "status": "processed"}),
    )


POST, TWO, LIST = "POST /batches#1", "POST /batches#2", "GET /batches?limit=9"
POLL, POLL_TWO, FILE = "GET /batches/batch_1", "GET /batches/batch_2", "GET /files/file-1"


class Folder:
    """Recordings of one conversation, and what replays of them answer."""

    def __init__(self, wiretape: Wiretape, upstream: Upstream, folder: Path) -> None:
        self.wiretape, self.upstream, self.folder = wiretape, upstream, folder

    def record(self, *steps: str, mode: str = "record") -> list[Any]:
        options = record_options(self.upstream, self.folder)
        done = self.wiretape(mode, *options, "--", *client(*steps))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def replay(self, *steps: str, config: str = "", status: int = 0) -> tuple[list[Any], str]:
        (self.folder.parent / "config.yaml").write_text(config)
        done = self.wiretape("replay", "-r", self.folder, "--", *client(*steps))
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout), done.stderr


@pytest.fixture
def made(wiretape: Wiretape, upstream: Upstream, tmp_path: Path) -> Folder:
    scripted(upstream)
    return Folder(wiretape, upstream, tmp_path / "r")


@pytest.fixture
def polled(made: Folder) -> Folder:
    """The conversation of the issue: create a batch, poll it seven times."""
    made.record(POST, *[POLL] * 7)
    return made


def test_polls_replay_in_order_and_then_the_last_goes_on(polled: Folder) -> None:
    got, told = polled.replay(POST, *[POLL] * 10)
    assert got == ["validating", *STATES, *["completed"] * 3]
    assert "3 answered again beyond the last take" in told
    assert polled.replay(POST, *[POLL] * 7)[1].count("beyond") == 0


def test_polls_without_what_gave_the_id_begin_at_the_start(polled: Folder) -> None:
    assert polled.replay(*[POLL] * 8)[0] == [*STATES, "completed"]
    assert polled.replay(POLL, POST, POLL, POLL, POLL)[0] == [
        STATES[0],
        "validating",
        *STATES[1:4],
    ]


def test_where_repeat_is_miss_the_poll_after_the_last_misses(polled: Folder) -> None:
    got, _ = polled.replay(POST, *[POLL] * 8, config="replay: {repeat: miss}\n", status=3)
    assert got == ["validating", *STATES, MISS_STATUS]


def test_the_polls_of_an_id_are_takes_of_one_key(polled: Folder) -> None:
    names = [name for name in documents(polled.folder) if "/v1-batches-" in name]
    stem = names[0].rpartition("/")[2].split(".")[0]
    assert {name.rpartition("/")[2] for name in names} == {
        f"{stem}.json",
        *(f"{stem}.{take}.json" for take in range(2, 8)),
    }


def test_two_ids_are_polled_in_turn_and_lists_come_between(made: Folder) -> None:
    steps = [POST, POLL, LIST, TWO, POLL_TWO, POLL, POLL_TWO, LIST, POLL, POLL, POLL_TWO]
    recorded = made.record(*steps)
    assert made.replay(*steps)[0] == recorded
    # In another order each goes on for itself.
    got, _ = made.replay(TWO, LIST, POST, *[POLL_TWO] * 3, *[POLL] * 5)
    assert got[3:] == [*["queued"] * 3, *STATES[:4], "in_progress"]


def test_an_id_within_a_later_answer_is_polled_as_well(made: Folder) -> None:
    steps = [POST, *[POLL] * 7, FILE, FILE]
    recorded = made.record(*steps)
    assert recorded[-2:] == ["uploaded", "processed"]
    assert made.replay(*steps, FILE)[0] == [*recorded, "processed"]
    assert made.replay(FILE, POST, FILE, *[POLL] * 8, FILE)[0] == [
        "uploaded",
        "validating",
        "processed",
        *STATES,
        "completed",
        "processed",
    ]


def test_an_id_that_is_polled_before_it_was_given(made: Folder) -> None:
    made.upstream.script("/v1/jobs", Answer.json({"id": "job-1", "status": "new"}))
    answers = [Answer.json({"id": "job-1", "status": status}) for status in ("old", "done")]
    made.upstream.script("/v1/jobs/job-1", Answer.json({"error": {}}, status=404), *answers)
    poll = "GET /jobs/job-1"
    steps = [poll, "POST /jobs", poll, poll]
    recorded = made.record(*steps)
    assert recorded == [404, "new", "old", "done"]
    assert made.replay(*steps)[0] == recorded
    # What there was before it was created is not what there is since.
    assert made.replay("POST /jobs", poll, poll)[0] == recorded[1:]


def test_polls_of_several_runs_are_one_sequence(made: Folder) -> None:
    made.record(POST, POLL, POLL, POLL)
    (made.folder.parent / "config.yaml").write_text("record: {mode: append}\n")
    assert made.record(*[POLL] * 4) == STATES[3:]
    assert made.replay(POST, *[POLL] * 7)[0] == ["validating", *STATES]


def test_auto_replays_the_polls_and_records_those_of_a_new_id(polled: Folder) -> None:
    came = len(polled.upstream.requests)
    assert polled.record(POST, *[POLL] * 8, mode="auto") == ["validating", *STATES, "completed"]
    assert len(polled.upstream.requests) == came
    steps = [TWO, *[POLL_TWO] * 7]
    assert polled.record(*steps, mode="auto") == ["validating", *STATES]
    assert polled.replay(POST, *[POLL] * 7, *steps)[0] == ["validating", *STATES] * 2


OLD_POLL = "GET /batches/batch_6750a1b2c3"
OLD_STATES = ["queued", "queued", "in_progress", "in_progress", "completed"]


def test_recordings_of_an_earlier_version_are_read_right(made: Folder) -> None:
    """Each poll names the one before it in them, and times are to the second."""
    shutil.copytree(OLD, made.folder)
    assert made.replay(*[OLD_POLL] * 7)[0] == [*OLD_STATES, *["completed"] * 2]
    assert made.replay(*[OLD_POLL] * 6, config="replay: {repeat: miss}\n", status=3)[0] == [
        *OLD_STATES,
        MISS_STATUS,
    ]


def test_rekey_makes_takes_of_the_polls_of_an_earlier_version(
    made: Folder, wiretape: Wiretape
) -> None:
    shutil.copytree(OLD, made.folder)
    done = wiretape("rekey", "-r", made.folder)
    assert done.returncode == 0, done.stderr
    (polls,) = (p for p in made.folder.rglob("v1-batches-*"))
    stem = min(path.name for path in polls.iterdir() if path.name.count(".") == 1)[:12]
    states = [
        json.loads((polls / name).read_text())["response"]["body"]["__data__"]["status"]
        for name in (f"{stem}.json", *(f"{stem}.{take}.json" for take in range(2, 6)))
    ]
    assert states == OLD_STATES
    assert made.replay(*[OLD_POLL] * 7)[0] == [*OLD_STATES, *["completed"] * 2]
    assert wiretape("verify", "-r", made.folder).returncode == 0
    assert wiretape("rekey", "--dry-run", "-r", made.folder).returncode == 0


def test_takes_missing_in_the_middle_are_told_and_can_be_filled(
    polled: Folder, wiretape: Wiretape
) -> None:
    """The provider goes on to say completed: what is recorded now shows where it was put."""
    names = sorted(path for path in polled.folder.rglob("v1-batches-*/*.json"))
    stem = min(names, key=lambda path: len(path.name))
    for take in (2, 5, 6):
        stem.with_name(f"{stem.stem}.{take}.json").unlink()
    left = ["validating", "queued", "queued", "in_progress", "completed"]
    for mode in ("replay", "auto"):
        options = record_options(polled.upstream, polled.folder)
        done = wiretape(mode, *options, "--", *client(POST, *[POLL] * 4))
        assert (done.returncode, json.loads(done.stdout)) == (0, left), done.stderr
        assert "takes are missing before" in done.stderr
        assert f"{stem.stem}.5.json, " in done.stderr
    done = wiretape("verify", "-r", polled.folder)
    assert done.returncode == 1
    assert "take 2 of its request is missing" in done.stdout
    assert "take 5, 6 of its request are missing" in done.stdout
    came = len(polled.upstream.requests)
    done = wiretape("auto", "--fill", *options, "--", *client(POST, *[POLL] * 7))
    assert done.returncode == 0, done.stderr
    filled = [*left[:2], "completed", *left[2:4], "completed", "completed", "completed"]
    assert json.loads(done.stdout) == filled
    assert len(polled.upstream.requests) == came + 3
    assert polled.replay(POST, *[POLL] * 7)[0] == filled
    assert wiretape("verify", "-r", polled.folder).returncode == 0
    # There is nothing left to fill.
    done = wiretape("auto", "--fill", *options, "--", *client(POST, *[POLL] * 7))
    assert len(polled.upstream.requests) == came + 3
