"""Request headers that decide the answer are compared: each request gets its own recording's answer
in whatever order, and one that was not recorded is a miss.
"""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from tests.support.commands import Wiretape
from tests.support.upstream import Answer, Upstream

HOST = "api.openai.com"
WHOLE = b"0123456789abcdefghijklmnopqrstuvwxyz"
TYPES = {"application/json": b'{"a":1}', "text/event-stream": b"data: a\n\n", "text/csv": b"a,b\n"}


def part(first: int, last: int) -> Answer:
    headers = [("Content-Type", "application/octet-stream"), ("Accept-Ranges", "bytes"),
               ("Content-Range", f"bytes {first}-{last}/{len(WHOLE)}")]  # fmt: skip
    return Answer(206, headers, [WHOLE[first : last + 1]], "content-length")


def typed(media: str, body: bytes, *more: tuple[str, str]) -> Answer:
    return Answer(200, [("Content-Type", media), *more], [body], "content-length")


def ask(path: str, *headers: str) -> list[str]:
    named = [text for header in headers for text in ("-H", header)]
    return ["curl", "-sS", "-w", "\\n%{http_code}\\n", f"https://{HOST}{path}", *named]


def script(requests: Sequence[list[str]]) -> list[str]:
    return ["sh", "-c", "; ".join(shlex.join(request) for request in requests)]


RANGES = [(0, 8), (9, 17), (18, 26), (27, 35)]
PARTS = [ask("/v1/files/f/content", f"Range: bytes={a}-{b}") for a, b in RANGES]
KINDS = [ask("/v1/report", f"Accept: {media}") for media in TYPES]
LANGUAGES = [ask("/v1/hello", f"Accept-Language: {name}") for name in ("de", "fr")]
NAMES = [ask("/v1/name", f"X-Mode: {name}") for name in ("de", "fr")]
CONDITIONS = [ask("/v1/models"), ask("/v1/models", 'If-None-Match: "v1"')]
BETAS = [ask("/v1/beta", "openai-beta: a,b")]


def served(upstream: Upstream, folder: Path) -> list[str | Path]:
    upstream.script("/v1/files/f/content", *(part(a, b) for a, b in RANGES))
    upstream.script("/v1/report", *(typed(media, body) for media, body in TYPES.items()))
    vary = ("Vary", "Accept-Encoding, accept-language")
    upstream.script("/v1/hello", typed("text/plain", b"hallo", vary),
                    typed("text/plain", b"salut", vary))  # fmt: skip
    upstream.script("/v1/name", typed("text/plain", b"any"), typed("text/plain", b"thing"))
    upstream.script("/v1/models", Answer.json({"data": []}, headers=[("ETag", '"v1"')]),
                    Answer(304, [("ETag", '"v1"')], (), "content-length"))  # fmt: skip
    upstream.script("/v1/beta", Answer.json({"beta": True}))
    return ["-r", folder, "--upstream-ca", upstream.ca_file, "--map", f"{HOST}={upstream.url}"]


def test_each_request_gets_its_own_answer_in_any_order(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    every = [*PARTS, *KINDS, *LANGUAGES, *NAMES, *CONDITIONS, *BETAS]
    recorded = wiretape("record", *served(upstream, tmp_path / "r"), "--", *script(every))
    assert recorded.returncode == 0
    files = sorted((tmp_path / "r").rglob("*.json"))
    requests = [json.loads(path.read_bytes())["request"] for path in files]
    assert sum("range" in request["headers"] for request in requests) == 4
    assert not any("x-mode" in request["headers"] for request in requests)

    again = [*PARTS[::-1], *KINDS[::-1], *LANGUAGES[::-1], *CONDITIONS[::-1],
             ask("/v1/name", "X-Mode: it"),
             ask("/v1/beta", "OpenAI-Beta: b", "OpenAI-Beta: a")]  # fmt: skip
    replayed = wiretape("replay", "-r", tmp_path / "r", "--", *script(again))
    bodies = [WHOLE[a : b + 1] for a, b in RANGES[::-1]] + list(TYPES.values())[::-1]
    expected = [body.decode() + f"\n{206 if n < 4 else 200}\n" for n, body in enumerate(bodies)]
    expected += ["salut\n200\n", "hallo\n200\n", "\n304\n", '{"data": []}\n200\n']
    expected += ["any\n200\n", '{"beta": true}\n200\n']
    assert (replayed.returncode, replayed.stdout) == (0, "".join(expected)), replayed.stderr


def test_what_was_not_recorded_is_a_miss_that_names_the_header(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    every = [PARTS[0], CONDITIONS[1], *LANGUAGES]
    options = served(upstream, tmp_path / "r")
    upstream.script("/v1/models", Answer(304, (), (), "content-length"))
    assert wiretape("record", *options, "--", *script(every)).returncode == 0
    others = {
        "/v1/files/f/content": PARTS[1],
        "headers.range: got nothing": ask("/v1/files/f/content"),
        "headers.if-none-match: got nothing": ask("/v1/models"),
        'headers.accept-language: got "it"': ask("/v1/hello", "Accept-Language: it"),
        "headers.accept-language: got nothing": ask("/v1/hello"),
        'headers.if-none-match: got "\\"v2\\""': ask("/v1/models", 'If-None-Match: "v2"'),
    }
    missed = wiretape("replay", "-r", tmp_path / "r", "--", *script(list(others.values())))
    assert missed.returncode == 3
    assert "wiretape: no recording" in missed.stdout
    for text in others:
        assert text in missed.stderr
    # In auto it goes to the provider, and beside what is there.
    upstream.script("/v1/files/f/content", part(9, 17))
    auto = wiretape("auto", *options, "--", *script([PARTS[1]]), env={"CI": ""})
    assert auto.stdout == WHOLE[9:18].decode() + "\n206\n"
    both = wiretape("replay", "-r", tmp_path / "r", "--", *script([PARTS[1], PARTS[0]]))
    assert both.stdout == WHOLE[9:18].decode() + "\n206\n" + WHOLE[:9].decode() + "\n206\n"


def test_what_vary_names_goes_live_in_auto_and_is_replaced_alone(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    options = [*served(upstream, tmp_path / "r")]
    modes = [ask("/v1/mode", f"X-Mode: {name}") for name in ("a", "b", "c")]
    answers = [typed("text/plain", name, ("Vary", "X-Mode")) for name in (b"A", b"B", b"C", b"2")]
    upstream.script("/v1/mode", *answers)
    assert wiretape("record", *options, "--", *script(modes[:2])).returncode == 0
    auto = wiretape("auto", *options, "--", *script(modes[2:]), env={"CI": ""})
    assert auto.stdout == "C\n200\n", auto.stderr
    # Recorded anew, one does not take the others away.
    assert wiretape("record", *options, "--", *script(modes[1:2])).returncode == 0
    every = wiretape("replay", "-r", tmp_path / "r", "--", *script(modes[::-1]))
    assert every.stdout == "C\n200\n2\n200\nA\n200\n", every.stderr


def test_who_asks_for_json_does_not_get_the_page(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    options = served(upstream, tmp_path / "r")
    upstream.script("/v1/page", typed("text/html", b"page"), Answer.json({}))
    requests = [ask("/v1/page"), ask("/v1/page", "Accept: application/json")]
    assert wiretape("record", *options, "--", *script(requests)).returncode == 0
    both = wiretape("replay", "-r", tmp_path / "r", "--", *script(requests[::-1]))
    assert both.stdout == "{}\n200\npage\n200\n", both.stderr
