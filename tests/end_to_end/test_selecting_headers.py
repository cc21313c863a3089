"""Headers that decide an answer: recorded by a real client, replayed in another order."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support import plain_client
from tests.support.commands import Wiretape
from tests.support.sdk import record_options
from tests.support.upstream import Answer, Upstream

CLIENT = plain_client.program("""
import sys
out = []
with Client(base_url="https://api.openai.com") as client:
    for method, path, headers, body in json.loads(sys.argv[1]):
        got = client.request(method, path, headers=headers, json=body)
        out.append([got.status_code, got.text if got.status_code < 400 else ""])
print(json.dumps(out))
""")
FILE = "/v1/files/file-1/content"
CONTENT = "0123456789abcdefghijklmnopqrstuvwxyzABCD"
MISS = [400, ""]

type Step = tuple[str, str, dict[str, str], Any]
type Got = list[list[Any]]


def step(path: str = FILE, method: str = "GET", body: Any = None, **headers: str) -> Step:
    return method, path, {name.replace("_", "-"): value for name, value in headers.items()}, body


def part(start: int, end: int) -> Answer:
    headers = [("Content-Type", "text/plain"), ("Content-Range", f"bytes {start}-{end}/40")]
    data = CONTENT[start : end + 1].encode()
    return Answer(206, headers, [data], framing="content-length")


def text(said: str, *headers: tuple[str, str], status: int = 200) -> Answer:
    chunks = [said.encode()] if said else []
    return Answer(status, [("Content-Type", "text/plain"), *headers], chunks, "content-length")


class Run:
    """Records steps once, then makes some in a mode of wiretape."""

    def __init__(self, wiretape: Wiretape, upstream: Upstream, folder: Path) -> None:
        self.wiretape, self.upstream, self.folder = wiretape, upstream, folder

    def make(self, mode: str, steps: Sequence[Step]) -> tuple[int, Got]:
        line = [sys.executable, "-c", CLIENT, json.dumps(steps)]
        options: list[str | Path] = ["-r", self.folder]
        if mode != "replay":
            options = [*record_options(self.upstream, self.folder, "api.openai.com")]
        done = self.wiretape(mode, *options, "--", *line)
        assert done.stdout, done.stderr
        return done.returncode, [[missed(code), said] for code, said in json.loads(done.stdout)]

    def record(self, *steps: Step) -> Got:
        status, got = self.make("record", steps)
        assert status == 0
        return got

    def replay(self, *steps: Step) -> Got:
        return self.make("replay", steps)[1]


def missed(status: int) -> int:
    """A miss has one status here, whichever is the default."""
    return 400 if status in (400, 404) else status


@pytest.fixture
def run(wiretape: Wiretape, upstream: Upstream, tmp_path: Path) -> Run:
    return Run(wiretape, upstream, tmp_path / "recordings")


PARTS = [(0, 9), (10, 19), (20, 29), (30, 39)]


def ranges(*bounds: tuple[int, int]) -> list[Step]:
    return [step(range=f"bytes={start}-{end}") for start, end in bounds]


def test_a_download_in_four_parts_is_whole_in_any_order(run: Run) -> None:
    run.upstream.script(FILE, *(part(*bounds) for bounds in PARTS))
    recorded = run.record(*ranges(*PARTS))
    assert "".join(said for _, said in recorded) == CONTENT
    backwards = run.replay(*ranges(*reversed(PARTS)))
    assert backwards == [*reversed(recorded)]
    again = run.replay(*ranges(PARTS[2], PARTS[2], PARTS[0]))
    assert again == [recorded[2], recorded[2], recorded[0]]


def test_a_range_that_was_never_recorded_is_a_miss_and_in_auto_goes_live(run: Run) -> None:
    run.upstream.script(FILE, part(0, 9), part(5, 14), text(CONTENT))
    run.record(*ranges((0, 9)))
    status, got = run.make("replay", [*ranges((5, 14)), step()])
    assert (status, got) == (3, [MISS, MISS])
    status, got = run.make("auto", [*ranges((5, 14), (0, 9)), step()])
    assert (status, got) == (
        0,
        [[206, CONTENT[5:15]], [206, CONTENT[:10]], [200, CONTENT]],
    )
    assert run.replay(step(), *ranges((0, 9), (5, 14))) == [
        [200, CONTENT],
        [206, CONTENT[:10]],
        [206, CONTENT[5:15]],
    ]


PAIRS: dict[str, tuple[Step, Answer, Step, Answer]] = {
    "Accept": (
        step("/v1/runs/1", accept="text/event-stream"),
        Answer.sse(["hello"]),
        step("/v1/runs/1", accept="application/json"),
        text("{}"),
    ),
    "Accept of POST": (
        step("/v1/x", "POST", {"q": 1}, accept="image/png"),
        text("png"),
        step("/v1/x", "POST", {"q": 1}),
        text("json"),
    ),
    "If-None-Match": (
        step("/v1/models", if_none_match='"v1"'),
        text("", status=304),
        step("/v1/models"),
        text("all"),
    ),
    "If-Modified-Since": (
        step("/v1/models", if_modified_since="Sun, 06 Nov 1994 08:49:37 GMT"),
        text("", status=304),
        step("/v1/models", if_modified_since="Mon, 07 Nov 1994 08:49:37 GMT"),
        text("newer"),
    ),
    "If-Match": (
        step("/v1/f", "PUT", {}, if_match='"a"'),
        text("was a"),
        step("/v1/f", "PUT", {}, if_match='"b"'),
        text("was b"),
    ),
    "Prefer": (
        step("/v1/jobs", "POST", {}, prefer="respond-async"),
        text("later", status=202),
        step("/v1/jobs", "POST", {}),
        text("now"),
    ),
    "upload offsets": (
        step("/v1/up", "POST", {"a": 1}, x_goog_upload_offset="0", x_goog_upload_command="upload"),
        text("first"),
        step("/v1/up", "POST", {"a": 1}, x_goog_upload_offset="8", x_goog_upload_command="upload"),
        text("second"),
    ),
    "Content-Range": (
        step("/v1/up", "PUT", {"a": 1}, content_range="bytes 0-7/16"),
        text("more", status=200),
        step("/v1/up", "PUT", {"a": 1}, content_range="bytes 8-15/16"),
        text("whole"),
    ),
    "Accept-Language": (
        step("/v1/voices", accept_language="de"),
        text("Hallo"),
        step("/v1/voices", accept_language="en"),
        text("Hello"),
    ),
    "a header that Vary names": (
        step("/v1/mode", x_mode="a"),
        text("A", ("Vary", "Origin, X-Mode")),
        step("/v1/mode", x_mode="b"),
        text("B", ("Vary", "Origin, X-Mode")),
    ),
    "a header that Vary names, absent": (
        step("/v1/mode", "POST", {}),
        text("none", ("Vary", "x-mode")),
        step("/v1/mode", "POST", {}, x_mode="b"),
        text("B", ("Vary", "x-mode")),
    ),
}


def test_two_requests_that_a_header_tells_apart_get_each_its_own(run: Run) -> None:
    steps, back = [], []
    for name, (first, one, second, other) in PAIRS.items():
        # Each pair at a path of its own.
        place = f"{first[1]}?pair={name.replace(' ', '+')}"
        run.upstream.script(place, one, other)
        pair = [(method, place, headers, body) for method, _, headers, body in (first, second)]
        steps += pair
        back += [*reversed(pair), pair[1]]
    recorded = run.record(*steps)
    replayed = run.replay(*back)
    for number, name in enumerate(PAIRS):
        first_said, second_said = recorded[2 * number : 2 * number + 2]
        assert first_said != second_said
        got = replayed[3 * number : 3 * number + 3]
        assert got == [second_said, first_said, second_said], name


def test_one_that_was_not_recorded_is_a_miss(run: Run) -> None:
    pairs = {
        "Range": (step(), step(range="bytes=0-1"), text("x")),
        "Accept": (step("/v1/r"), step("/v1/r", accept="text/event-stream"), text("{}")),
        "If-None-Match": (step("/v1/m"), step("/v1/m", if_none_match='"x"'), text("m")),
        "Vary": (
            step("/v1/v", x_mode="a"),
            step("/v1/v", x_mode="c"),
            text("a", ("Vary", "x-mode")),
        ),
    }
    for recorded, _, answer in pairs.values():
        run.upstream.script(recorded[1], answer)
    run.record(*(recorded for recorded, _, _ in pairs.values()))
    status, got = run.make("replay", [other for _, other, _ in pairs.values()])
    assert (status, dict(zip(pairs, got, strict=True))) == (3, dict.fromkeys(pairs, MISS))


def test_a_list_is_the_same_however_it_is_spelled(run: Run) -> None:
    path = "/v1/betas"
    run.upstream.script(path, text("yes"))
    run.record(step(path, anthropic_beta="a,b"))
    spelled = [step(path, anthropic_beta=value) for value in ("b,a", "a, b", "b ,a")]
    assert run.replay(*spelled) == [[200, "yes"]] * 3


def test_what_says_nothing_does_not_tell_two_clients_apart(run: Run) -> None:
    body = {"model": "m", "messages": [], "stream": True}
    run.upstream.script("/v1/chat/completions", Answer.sse(["x"]))
    recorded = run.record(step("/v1/chat/completions", "POST", body, accept="application/json"))
    accepted = ("*/*", "text/event-stream", "application/json, text/event-stream")
    again = [step("/v1/chat/completions", "POST", body, accept=accept) for accept in accepted]
    assert run.replay(*again) == recorded * 3


def test_a_header_can_be_taken_away(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("match: {without_headers: [range]}\n")
    run.upstream.script(FILE, part(0, 9))
    recorded = run.record(*ranges((0, 9)))
    assert run.replay(*ranges((5, 14))) == recorded


# ------------------------------------------------------------------ recordings of earlier versions


def older(folder: Path) -> None:
    """Make of recordings what earlier versions would have made of them."""
    for file in folder.rglob("*.json"):
        document = json.loads(file.read_bytes())
        document["recorded_at"] = document["recorded_at"].partition(".")[0] + "Z"
        headers = document["request"]["headers"]
        kept = ("accept", "content-type")
        document["request"]["headers"] = {n: v for n, v in headers.items() if n in kept}
        file.write_text(json.dumps(document))


def test_a_recording_that_does_not_tell_still_answers(run: Run) -> None:
    run.upstream.script(FILE, part(0, 9))
    run.upstream.script("/v1/models", text("all"))
    recorded = run.record(*ranges((0, 9)), step("/v1/models"))
    older(run.folder)
    again = [*ranges((0, 9)), step("/v1/models", if_none_match='"x"')]
    assert run.replay(*again) == recorded


def test_its_status_tells_that_it_is_of_another_request(run: Run) -> None:
    run.upstream.script(FILE, part(0, 9))
    run.upstream.script("/v1/models", text("", status=304))
    run.record(*ranges((0, 9)), step("/v1/models", if_none_match='"x"'))
    older(run.folder)
    assert run.replay(step(), step("/v1/models")) == [MISS, MISS]
