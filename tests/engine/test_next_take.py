"""Takes of one request: after the last, and of files that cannot be used."""

import json
import os
import re
import shlex
from pathlib import Path

import pytest
from tests.support.commands import Wiretape
from tests.support.stream_call import BODY, CHAT, EVENTS, HOST, curl, options
from tests.support.upstream import Upstream


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_an_informational_status_is_never_a_final_answer(
    recorded: Path, wiretape: Wiretape, upstream: Upstream, status: int
) -> None:
    (path,) = recorded.rglob("*.json")
    document = json.loads(path.read_bytes())
    document["response"]["status"] = status
    path.write_text(json.dumps(document))
    (recorded.parent / "config.yaml").write_text("on_miss: fail\n")
    for mode in ("replay", "auto"):
        client = curl(CHAT, BODY, HOST, "-o", os.devnull, "-w", "%{http_code}")
        done = wiretape(mode, *options(upstream, recorded), "--", *client)
        assert (done.returncode, done.stdout) == (3, "400"), done.stderr
        assert "response.status: expected the status of a final answer" in done.stderr


def test_after_the_last_take_the_last_is_given_again_and_counted(
    recorded: Path, wiretape: Wiretape
) -> None:
    twice = ["sh", "-c", f"{shlex.join(curl())}; {shlex.join(curl())}"]
    done = wiretape("replay", "-r", recorded, "--", *twice)
    assert done.stdout.encode() == b"".join(EVENTS) * 2
    assert "1 answered again beyond the last take" in done.stderr


def test_used_up_takes_are_a_miss_where_the_configuration_says_so(
    recorded: Path, wiretape: Wiretape, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("replay: {repeat: miss}\n")
    twice = ["sh", "-c", f"{shlex.join(curl())}; {shlex.join(curl())}"]
    done = wiretape("replay", "-r", recorded, "--", *twice)
    assert "all takes of" in done.stdout
    assert done.returncode == 3


def test_a_broken_file_is_named_and_skipped_and_the_rest_works(
    recorded: Path, wiretape: Wiretape
) -> None:
    (recorded / "half.json").write_text('{"wiretape": 1, "request": {')
    (recorded / "package.json").write_text('{"name": "foreign"}')
    done = wiretape("replay", "-r", recorded, "--", *curl())
    assert done.stdout.encode() == b"".join(EVENTS)
    assert re.search(r"skipped .*half\.json: not JSON: .* line 1 column", done.stderr)
    assert re.search(r"skipped .*package\.json: .*not a recording", done.stderr)
