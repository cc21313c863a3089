"""`wiretape calibrate` finds the rules under which a program replays, or says why it cannot."""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support import plain_client
from tests.support.commands import Wiretape
from tests.support.upstream import Answer, Upstream

AGENT = plain_client.program("""
import datetime, random, sys, tempfile, uuid
session, now = f"ses_{random.getrandbits(40):010x}", datetime.datetime.now()
system = f'''You work in {os.getcwd()}; home {os.environ["HOME"]}
Today's date: {now:%A, %B %d, %Y}
Started at {now:%H:%M:%S.%f}
Session id: {session}
Trace {uuid.uuid4()}
Scratch: {tempfile.mkdtemp()}/log'''
messages = [{"role": "system", "content": system}, {"role": "user", "content": sys.argv[1]}]
url = "https://api.openai.com/v1/chat/completions"
with Client() as client:
    for turn in range(2):
        body = {
            "model": "m", "messages": messages, "counter": random.randrange(10**9),
            "metadata": {"run_id": session, "note": f"attempt {random.randrange(10**6)} of it"},
        }
        answer = client.post(url, json=body)
        answer.raise_for_status()
        text = answer.json()["choices"][0]["message"]["content"]
        print(text)
        output = f"Ran 3 tests in 0.{random.randrange(10**6):06}s"
        messages += [{"role": "assistant", "content": text}, {"role": "tool", "content": output}]
""")

ASK = plain_client.program("""
import random, sys
url = "https://api.openai.com/v1/chat/completions"
with Client() as client:
    for text in sys.argv[1:]:
        content = text.replace("RANDOM", str(random.randrange(10**9)))
        body = {"model": "m", "messages": [{"role": "user", "content": content}]}
        client.post(url, json=body).raise_for_status()
""")

type Calibrate = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "agent.py").write_text(AGENT)
    (folder / "ask.py").write_text(ASK)
    return folder


@pytest.fixture
def calibrate(wiretape: Wiretape, upstream: Upstream, work: Path) -> Calibrate:
    def run(*words: str | Path, options: tuple[str | Path, ...] = (), status: int = 200) -> Any:
        answers = (Answer.json(answer, status=status) for _ in range(20))
        upstream.script("/v1/chat/completions", *answers)
        route = f"api.openai.com={upstream.url}"
        line: list[str | Path] = [
            "calibrate",
            "--upstream-ca",
            upstream.ca_file,
            "--map",
            route,
            *options,
        ]
        return wiretape(*line, "--", *words, cwd=work)

    answer = {"choices": [{"message": {"role": "assistant", "content": "yes"}}]}
    return run


def test_an_agent_replays_in_another_home_and_folder_under_the_rules_that_are_written(
    calibrate: Calibrate, wiretape: Wiretape, work: Path, tmp_path: Path
) -> None:
    config = work / "config.yaml"
    config.write_text("# ours\nmatch:\n  rules:\n    # ours too\n    - {name: x, ignore: [$.x]}\n")
    options = ("--write", "--json", "-r", tmp_path / "kept")
    done = calibrate(sys.executable, "agent.py", "hello", options=options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["settled"], found["written"], found["untamed"]) == (True, True, [])
    assert found["proof"]["holds"]
    assert found["runs"][-1]["replayed"] == 2
    (rule,) = found["rules"]
    assert rule["yaml"].count("ignore:") == 1
    assert 'ignore: ["$.counter"]' in rule["yaml"]
    assert {"time", "id", "date"} <= {
        kind for each in rule["variations"] for kind in each["kind"].split(", ")
    }
    text = config.read_text()
    assert text.startswith("# ours\nmatch:\n  rules:\n    - name: rule-")
    assert text.endswith("    # ours too\n    - {name: x, ignore: [$.x]}\n")
    (tmp_path / "home").mkdir()
    elsewhere = tmp_path / "elsewhere"
    work.rename(elsewhere)
    for prompt, status in (("hello", 0), ("hullo", 1)):
        line = ["--", sys.executable, "agent.py", prompt]
        again = wiretape(
            "replay",
            "-r",
            tmp_path / "kept",
            *line,
            env={"HOME": str(tmp_path / "home")},
            cwd=elsewhere,
        )
        assert again.returncode == status, again.stderr
        assert ("missed" in again.stderr) == (status == 1)


def test_what_replays_as_it_is_needs_no_rules(calibrate: Calibrate, work: Path) -> None:
    done = calibrate(sys.executable, "ask.py", "hello", "again", options=("--write",))
    assert done.returncode == 0, done.stderr
    assert "needs no rules" in done.stdout
    assert not (work / "config.yaml").exists()


def test_rules_that_are_not_written_are_something_to_do(calibrate: Calibrate, work: Path) -> None:
    done = calibrate(sys.executable, "agent.py", "hello")
    assert done.returncode == 1
    assert "--write adds them to config.yaml" in done.stdout
    assert "hides: all of $.counter" in done.stdout
    assert not (work / "config.yaml").exists()
    assert (
        list(work.iterdir()) == [work / "agent.py", work / "ask.py"]
        or len(list(work.iterdir())) == 2
    )


def test_a_prompt_that_varies_is_never_taken_out(calibrate: Calibrate, work: Path) -> None:
    done = calibrate(sys.executable, "ask.py", "add RANDOM and 1", options=("--write",))
    assert done.returncode == 1
    assert "cannot be tamed: body.messages[0].content" in done.stdout
    assert "nothing is written" in done.stdout
    assert not (work / "config.yaml").exists()


def test_runs_with_other_numbers_of_requests_are_told(calibrate: Calibrate, work: Path) -> None:
    words = f"{shlex.quote(sys.executable)} ask.py one; test -e {work}/ran ||"
    words += f" {shlex.quote(sys.executable)} ask.py two; touch {work}/ran"
    done = calibrate("sh", "-c", words)
    assert done.returncode == 0, done.stdout + done.stderr
    (work / "ran").unlink()
    words = words.replace("|| ", "&& ")
    done = calibrate("sh", "-c", f"{words}; true")
    assert done.returncode == 1
    assert "run 2 sent 1 request that run 1 did not" in done.stdout


@pytest.mark.parametrize(
    ("words", "options", "status", "text"),
    [
        (["sleep", "1000"], ["--time-limit", "0.5"], 143, "did not end within 0.5 s"),
        (["sh", "-c", "exit 7"], [], 7, "CMD ended with 7 in run 1"),
        (["true"], [], 3, "run 1 sent no request"),
        (["no-such-program"], [], 2, "no such program"),
        (["true"], ["-c", "nowhere.yaml"], 2, "nowhere.yaml: no such file"),
        (["true"], ["-r", "."], 2, "expected a folder that is empty"),
    ],
)
def test_a_run_that_is_none_is_told_and_leaves_nothing(
    calibrate: Calibrate, words: list[str], options: list[str], status: int, text: str
) -> None:
    done = calibrate(*words, options=tuple(options))
    assert (done.returncode, text in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr


def test_an_answer_for_which_there_was_no_key_is_named(calibrate: Calibrate) -> None:
    done = calibrate(sys.executable, "ask.py", "hello", status=401)
    assert done.returncode == 1
    assert "openai 401" in done.stderr
    assert "keys" in done.stderr


def test_a_configuration_with_faults_starts_nothing(calibrate: Calibrate, work: Path) -> None:
    (work / "config.yaml").write_text("match: {rules: [{name: a}]}\n")
    done = calibrate("touch", str(work / "started"))
    assert (done.returncode, "config.yaml:1" in done.stderr) == (2, True)
    assert not (work / "started").exists()


def test_a_rule_that_would_make_older_recordings_equal_is_withheld(
    calibrate: Calibrate, wiretape: Wiretape, work: Path, upstream: Upstream
) -> None:
    route = f"api.openai.com={upstream.url}"
    options = ("--upstream-ca", upstream.ca_file, "--map", route)
    for _ in range(2):
        wiretape("record", *options, "--", sys.executable, "agent.py", "hello", cwd=work)
    done = calibrate(sys.executable, "agent.py", "hello", options=("--write",))
    assert done.returncode == 1, done.stderr
    assert "withheld: recordings of recordings that differ would be equal" in done.stdout
    assert not (work / "config.yaml").exists()
