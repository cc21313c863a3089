"""What a client says of its folders is recorded on one machine and replayed on another."""

import json
import sys
from pathlib import Path

import pytest
from tests.support import plain_client
from tests.support.commands import Wiretape
from tests.support.sdk import record_options
from tests.support.upstream import Answer, Upstream

AGENT = plain_client.program("""
import sys
where = os.getcwd()
slug = "".join(c if c.isalnum() else "-" for c in where)
text = f"cwd: {where}; memory: {os.environ['HOME']}/.agent/{slug}/memory; {sys.argv[1]}"
body = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": True}
with Client() as client:
    answer = client.post("https://api.openai.com/v1/chat/completions", json=body)
    print(answer.status_code, answer.text)
""")


def told(done_stdout: str) -> str:
    """The text of a streamed answer that a client printed."""
    lines = [line.partition("data: ")[2] for line in done_stdout.splitlines() if "data: {" in line]
    deltas = [json.loads(line)["choices"][0]["delta"]["content"] for line in lines]
    return "".join(deltas)


class Machine:
    """A home and a folder to work in."""

    def __init__(self, wiretape: Wiretape, folder: Path) -> None:
        self.wiretape, self.work, self.home = wiretape, folder / "work", folder / "home"
        self.work.mkdir(parents=True)
        self.home.mkdir()

    def run(self, mode: str, *options: str | Path, prompt: str = "hi") -> tuple[int, str]:
        line = ["--", sys.executable, "-c", AGENT, prompt]
        env = {"HOME": str(self.home)}
        done = self.wiretape(mode, *options, *line, env=env, cwd=self.work)
        return done.returncode, done.stdout


@pytest.fixture
def machines(wiretape: Wiretape, tmp_path: Path) -> tuple[Machine, Machine]:
    return Machine(wiretape, tmp_path / "here"), Machine(wiretape, tmp_path / "there" / "deep")


def answering(upstream: Upstream, *said: str) -> None:
    events = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in said]
    upstream.script("/v1/chat/completions", Answer.sse(events))


def test_another_machine_asks_the_same_and_is_led_to_its_own_folder(
    machines: tuple[Machine, Machine], upstream: Upstream, tmp_path: Path
) -> None:
    here, there = machines
    path = f"{here.work}/src/main.py"
    answering(upstream, "read ", path[:9], path[9:30], path[30:], " now")
    recordings = tmp_path / "recordings"
    status, out = here.run("record", *record_options(upstream, recordings))
    assert (status, told(out)) == (0, f"read {path} now")
    (file,) = recordings.rglob("*.json")
    assert str(tmp_path) not in file.read_text()
    assert json.loads(file.read_text())["paths"] == ["cwd", "cwd-slug", "home"]
    status, again = here.run("replay", "-r", recordings)
    assert (status, told(again)) == (0, told(out))
    status, out = there.run("replay", "-r", recordings)
    assert (status, told(out)) == (0, f"read {there.work}/src/main.py now")
    status, _ = there.run("replay", "-r", recordings, prompt="something else")
    assert status == 3


def test_it_can_be_left_out(
    machines: tuple[Machine, Machine], upstream: Upstream, tmp_path: Path
) -> None:
    here, there = machines
    for machine in machines:
        (machine.work / "config.yaml").write_text("record: {folders: false}\n")
    answering(upstream, "hello")
    recordings = tmp_path / "recordings"
    here.run("record", *record_options(upstream, recordings))
    (file,) = recordings.rglob("*.json")
    assert str(here.work) in file.read_text()
    assert here.run("replay", "-r", recordings)[0] == 0
    assert there.run("replay", "-r", recordings)[0] == 3


def test_a_recording_with_the_folders_as_they_are_still_answers(
    machines: tuple[Machine, Machine], upstream: Upstream, tmp_path: Path
) -> None:
    here, _ = machines
    (here.work / "config.yaml").write_text("record: {folders: false}\n")
    answering(upstream, "hello")
    recordings = tmp_path / "recordings"
    here.run("record", *record_options(upstream, recordings))
    (here.work / "config.yaml").unlink()
    status, out = here.run("replay", "-r", recordings)
    assert (status, told(out)) == (0, "hello")
