"""An id that an answer gave and a later request sends back matches by where it came from."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support import plain_client
from tests.support.commands import Wiretape
from tests.support.sdk import documents, record_options
from tests.support.upstream import Answer, Upstream

CLIENT = plain_client.program("""
    # Upload a file, ask about it, ask on, fetch it: each step uses ids that the one before gave.
    with Client(base_url="https://api.openai.com/v1") as client:
        def post(path, body):
            got = client.post(path, json=body)
            return got.json() if got.is_success else {"id": "none", "error": got.text}

        file = post("/files", {"purpose": "assistants"})
        part = {"type": "input_file", "file_id": file["id"]}
        first = post("/responses", {"model": "m", "input": [{"role": "user", "content": [part]}]})
        more = {"model": "m", "input": "And?", "previous_response_id": first["id"]}
        second = post("/responses", more)
        content = client.request("GET", f"/files/{file['id']}/content")
        print(json.dumps([file["id"], first, second, content.text]))
""")


def scripted(upstream: Upstream, number: int) -> None:
    """Answers whose ids are those of run `number`."""
    upstream.script("/v1/files", Answer.json({"id": f"file-{number}", "object": "file"}))
    upstream.script(
        "/v1/responses",
        Answer.json({"id": f"resp_{number}a", "output": "one"}),
        Answer.json({"id": f"resp_{number}b", "output": "two"}),
    )
    upstream.script(f"/v1/files/file-{number}/content", Answer.json({"text": "the file"}))


@pytest.fixture
def recorded(wiretape: Wiretape, upstream: Upstream, tmp_path: Path) -> Path:
    scripted(upstream, 1)
    done = wiretape("record", *record_options(upstream, tmp_path / "r"), "--", *ask())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0] == "file-1"
    return tmp_path / "r"


def ask() -> list[str]:
    return [sys.executable, "-c", CLIENT]


def replay(wiretape: Wiretape, folder: Path) -> list[Any]:
    done = wiretape("replay", "-r", folder, "--", *ask())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_a_recording_says_where_the_ids_it_sends_back_came_from(recorded: Path) -> None:
    found = {d["request"]["endpoint"]: d["request"] for d in documents(recorded).values()}
    ids = found["/v1/files/file-1/content"]["ids"]
    (name,) = [name for name in documents(recorded) if "/v1-files/" in name]
    assert ids == {"file-1": f"{name.rpartition('/')[2].removesuffix('.json')}#0"}


def test_the_same_ids_replay(wiretape: Wiretape, recorded: Path) -> None:
    file, first, second, content = replay(wiretape, recorded)
    assert (file, first["id"], second["id"]) == ("file-1", "resp_1a", "resp_1b")
    assert json.loads(content) == {"text": "the file"}


def test_an_answer_recorded_anew_gives_new_ids_and_all_that_follows_still_matches(
    wiretape: Wiretape, upstream: Upstream, recorded: Path
) -> None:
    scripted(upstream, 2)
    came = len(upstream.requests)
    only = ["--only", "/v1/files"]
    done = wiretape("refresh", *record_options(upstream, recorded), *only, "--", *ask())
    assert done.returncode == 0, done.stderr
    assert [request.path for request in upstream.requests[came:]] == ["/v1/files"]
    file, first, second, content = json.loads(done.stdout)
    assert (file, first["id"], second["id"]) == ("file-2", "resp_1a", "resp_1b")
    assert json.loads(content) == {"text": "the file"}
    assert replay(wiretape, recorded) == [file, first, second, content]


def test_an_id_of_another_answer_is_another_request(
    wiretape: Wiretape, upstream: Upstream, recorded: Path
) -> None:
    other = CLIENT.replace(
        '"previous_response_id": first["id"]', '"previous_response_id": "resp_x"'
    )
    assert other != CLIENT
    done = wiretape("replay", "-r", recorded, "--", sys.executable, "-c", other)
    assert done.returncode == 3
    assert "previous_response_id" in done.stderr


def test_an_id_written_out_matches_as_it_is_spelled(wiretape: Wiretape, recorded: Path) -> None:
    alone = plain_client.program("""
        body = {"model": "m", "input": "And?", "previous_response_id": "resp_1a"}
        url = "https://api.openai.com/v1/responses"
        print(Client().post(url, json=body).json()["id"])
    """)
    done = wiretape("replay", "-r", recorded, "--", sys.executable, "-c", alone)
    assert (done.returncode, done.stdout) == (0, "resp_1b\n"), done.stderr


def test_a_changed_tool_call_id_in_a_history_matches(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    def history(one: str, two: str) -> list[str]:
        calls = [
            {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}
            for name in (one, two)
        ]
        messages = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": calls},
            {"role": "tool", "tool_call_id": one, "content": "1"},
            {"role": "tool", "tool_call_id": two, "content": "2"},
        ]
        body = json.dumps({"model": "m", "messages": messages})
        head = ["curl", "-sS", "https://api.openai.com/v1/chat/completions"]
        return [*head, "-H", "content-type: application/json", "--data-raw", body]

    upstream.script("/v1/chat/completions", Answer.json({"choices": []}))
    folder = tmp_path / "r"
    wiretape("record", *record_options(upstream, folder), "--", *history("call_a", "call_b"))
    same = wiretape("replay", "-r", folder, "--", *history("call_x", "call_y"))
    assert same.returncode == 0, same.stderr
    # Which result belongs to which call still counts.
    swapped = history("call_x", "call_y")
    swapped[-1] = swapped[-1].replace('"tool_call_id": "call_x"', '"tool_call_id": "call_z"')
    swapped[-1] = swapped[-1].replace('"tool_call_id": "call_y"', '"tool_call_id": "call_x"')
    swapped[-1] = swapped[-1].replace('"tool_call_id": "call_z"', '"tool_call_id": "call_y"')
    assert wiretape("replay", "-r", folder, "--", *swapped).returncode == 3
    removed = "match: {without: [openai/tool-call-ids]}\n"
    (tmp_path / "config.yaml").write_text(removed)
    spelled = wiretape("replay", "-r", folder, "--", *history("call_x", "call_y"))
    assert spelled.returncode == 3
