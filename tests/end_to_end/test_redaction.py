"""No secret reaches anything that outlives a run, through the real command line.

One upstream, clients that are given keys in every way there is, and then a look into all that
wiretape has written or said: recordings, side files, names, the report, the log, the terminal.
"""

import base64
import gzip
import json
import os
import pty
import re
import subprocess
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.commands import Wiretape, command
from tests.support.corpus import FORMS
from tests.support.corpus_stands import stands
from tests.support.limits import PATIENCE
from tests.support.stream_call import CHAT, EVENTS, HOST, STREAM, documents, options
from tests.support.upstream import Answer, Upstream

# Keys of no shape, which only their places tell, and one whose shape tells.
CARRIED = "Wm4tR8qLz2" + "VbN6xKc9PdYh3Js7"
ASKED = "q7HsT2mXv9" + "LbWc4RzKp8NdFg"
EXPORTED = "e5Kd-81Vq_" + "Zt7LmWx3RbPo.9u"
SHAPED = "tgp" + "_v1_" + "k3Vt9QbLx7RmZp2WcYd5HsNf8JgTa4Ue6KiOq1BrXwM"
SECRETS = (CARRIED, ASKED, EXPORTED, SHAPED)
ENVIRONMENT = {"MY_GATEWAY_API_KEY": EXPORTED}
BODY = '{"model":"m","messages":[{"role":"user","content":"Hi"}]}'


def curl(path: str = CHAT, body: str | None = BODY, *more: str) -> list[str]:
    data = ["-H", "content-type: application/json", "--data-raw", body] if body else []
    return ["curl", "-sSN", f"https://{HOST}{path}", *data, *more]


def carrying(key: str) -> tuple[str, str]:
    return "-H", f"Authorization: Bearer {key}"


def shell(*commands: list[str]) -> list[str]:
    """CMD that runs several commands, whatever becomes of each."""
    return ["sh", "-c", "\n".join(" ".join(map(_quoted, one)) for one in commands)]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def written(*folders: Path) -> Iterator[bytes]:
    """All files below some folders, and what they are called."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            yield str(path.relative_to(folder)).encode()
            if path.is_file() and path.suffix not in (".pem", ".p12"):
                yield path.read_bytes()


def leaked(texts: Iterable[bytes]) -> list[str]:
    texts = list(texts)
    return [secret[:6] for secret in SECRETS if stands(secret, texts)]


def streamed(*contents: str) -> list[dict[str, Any]]:
    return [{"id": "1", "choices": [{"index": 0, "delta": {"content": c}}]} for c in contents]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where wiretape's temporary files would be."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def test_no_secret_stands_in_anything_that_a_run_leaves(
    wiretape: Wiretape, upstream: Upstream, state: Path, temporary: Path, tmp_path: Path
) -> None:
    everything = " ".join(SECRETS)
    encoded = " ".join(spell(secret) for spell in FORMS.values() for secret in SECRETS[:3])
    head = [("Location", f"https://{HOST}/{SHAPED}?key={ASKED}"), ("Set-Cookie", f"s={CARRIED}")]
    upstream.script(
        CHAT,
        Answer.json({"echo": everything, "also": encoded, everything: 1}, headers=head),
        Answer.sse(
            [
                *streamed("It ", "is ", *CARRIED, ". "),
                *streamed(SHAPED[:9], SHAPED[9:30], SHAPED[30:]),
            ]
        ),
        Answer.json({"error": {"message": f"Incorrect API key: {everything}."}}, status=400),
        Answer.json({"error": {"message": f"No such key: {everything}."}}, status=401),
        Answer(
            headers=[("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
            chunks=[gzip.compress(json.dumps({"echo": everything}).encode())],
        ),
        Answer(chunks=[b'{"a":', f'"{everything}'.encode()], end="reset"),
        Answer(raw=f"HTTP/9.9 {everything}\r\n\r\n".encode(), end="fin"),
    )
    binary = b"\xff\x00" * 20_000 + everything.encode()
    file = [("Content-Type", "application/octet-stream")]
    upstream.script("/v1/files/content", Answer(headers=file, chunks=[binary]))
    key = carrying(CARRIED)
    asked = json.dumps({"model": SHAPED, "messages": [{"content": f"{everything} {encoded}"}]})
    target = f"{CHAT}?key={ASKED}&trace={SHAPED}"
    done = wiretape(
        "record",
        "-v",
        *("--report", tmp_path / "report.json"),
        *options(upstream, tmp_path / "r"),
        "--",
        *shell(
            curl(target, asked, *key, "-H", f"anthropic-beta: {CARRIED}"),
            curl(target, BODY, *key),
            *(
                curl(target, json.dumps({"model": "m", "n": n}), *key, "--compressed")
                for n in range(5)
            ),
            curl(f"/v1/files/content?key={ASKED}", None, *key, "-o", str(tmp_path / "got")),
            curl(f"/v1/files/{SHAPED}/content", None, *key, "-u", f"me:{ASKED}"),
            ["curl", "-sS", f"https://nowhere.invalid/{SHAPED}?key={ASKED}", *key],
        ),
        env={**ENVIRONMENT, "TMPDIR": str(temporary)},
    )
    assert all(secret in done.stdout for secret in SECRETS), "the client gets the true bytes"
    assert len(documents(tmp_path / "r")) >= 6, done.stderr
    assert list((tmp_path / "r").rglob("*.bin"))
    assert leaked(written(tmp_path / "r")) == []
    assert leaked([(tmp_path / "report.json").read_bytes()]) == []
    # curl says what it was asked for; what wiretape says has wiretape's words before it or after.
    told = [line for line in done.stderr.splitlines() if not line.startswith("curl: ")]
    assert leaked(line.encode() for line in told) == []
    assert leaked(written(temporary, state)) == []
    scanned = wiretape("scan", tmp_path / "r", env=ENVIRONMENT)
    assert (scanned.returncode, scanned.stdout) == (0, ""), scanned.stdout


def test_nothing_of_an_exchange_under_way_is_on_disk_or_on_the_terminal(
    clean_env: dict[str, str], upstream: Upstream, temporary: Path, state: Path, tmp_path: Path
) -> None:
    hold = threading.Event()
    answer = Answer.sse(streamed("It is ", CARRIED, SHAPED, " indeed"), gates={3: hold})
    upstream.script(f"{CHAT}/{SHAPED}", answer)
    leader, terminal = pty.openpty()
    environment = {**clean_env, **ENVIRONMENT, "TMPDIR": str(temporary), "TERM": "xterm"}
    seen = bytearray()
    with subprocess.Popen(
        command("record", "-v", *options(upstream, tmp_path / "r")),
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
    ) as process:
        os.close(terminal)
        reader = threading.Thread(target=_drain, args=(leader, seen))
        reader.start()
        try:
            assert process.stdout is not None
            ready = re.search(r"HTTPS_PROXY=(\S+),", process.stdout.readline())
            assert ready is not None
            with subprocess.Popen(
                [
                    *("curl", "-sSNk", "-x", ready[1]),
                    *curl(f"{CHAT}/{SHAPED}?key={ASKED}", json.dumps({"model": SHAPED}))[2:],
                    *carrying(CARRIED),
                ],
                env=clean_env,
                stdout=subprocess.PIPE,
            ) as client:
                assert client.stdout is not None
                while SHAPED not in (line := client.stdout.readline().decode()):
                    assert line, "the stream has ended early"
                during = list(written(tmp_path / "r", temporary, state))
                hold.set()
                client.communicate(timeout=PATIENCE)
        finally:
            hold.set()
            process.terminate()
            process.wait(timeout=PATIENCE)
            reader.join(timeout=PATIENCE)
            os.close(leader)
    assert leaked(during) == []
    shown = seen.decode(errors="replace")
    assert CHAT in shown
    assert "1 recorded" in shown
    assert leaked([bytes(seen)]) == []
    assert leaked(written(tmp_path / "r", temporary, state)) == []


def _drain(leader: int, seen: bytearray) -> None:
    # A pseudo-terminal whose other side is gone gives an error instead of an end.
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:
            return
        if not data:
            return
        seen += data


# Makes wiretape fail in its own code, with what it works on in the error, as a bug of ours might.
_BROKEN = """
import wiretape.core.recording.document as document

def broken(exchange):
    raise ValueError(f"a fault of ours: {exchange!r}")

document.from_exchange = broken
"""


def test_a_fault_of_ours_tells_no_secret(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_BROKEN)
    upstream.script(CHAT, Answer.json({"echo": " ".join(SECRETS)}))
    done = wiretape(
        "record",
        "-v",
        *options(upstream, tmp_path / "r"),
        "--",
        *curl(f"{CHAT}?key={ASKED}", BODY, *carrying(CARRIED)),
        env={**ENVIRONMENT, "PYTHONPATH": str(tmp_path)},
    )
    assert CARRIED in done.stdout, "the client gets its answer all the same"
    assert done.returncode == 4, done.stderr
    assert leaked([done.stderr.encode(), *written(tmp_path / "r")]) == []


def test_a_recording_made_with_one_key_answers_whatever_key_a_request_has(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    def client(key: str, *more: str) -> list[str]:
        said = f"My key is {key or 'unset'}."
        asked = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
        return curl(f"{CHAT}?key={key or 'x'}", asked, *more, "-H", f"x-said: {said}")

    upstream.script(CHAT, Answer.sse(streamed("Your key is ", CARRIED[:7], CARRIED[7:])))
    wiretape(
        "record",
        *options(upstream, tmp_path / "r"),
        "--",
        *client(CARRIED, *carrying(CARRIED)),
    )
    assert len(documents(tmp_path / "r")) == 1
    other = CARRIED[::-1]
    replayed = wiretape(
        "replay",
        *("-r", tmp_path / "r"),
        "--",
        *shell(
            client(other, *carrying(other)),
            client(""),
            client("REDACTED-query-key", *carrying("REDACTED-authorization")),
            client(CARRIED, "-H", f"x-api-key: {CARRIED}"),
        ),
    )
    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout.count("data: [DONE]") == 4
    assert leaked([replayed.stdout.encode(), replayed.stderr.encode()]) == []
    answers = replayed.stdout.split("data: [DONE]")[:4]
    contents = [_joined(answer) for answer in answers]
    assert len(set(contents)) == 1
    assert re.fullmatch(r"Your key is REDACTED-[a-z0-9-]+", contents[0])


def _joined(stream: str) -> str:
    events = re.findall(r"data: (\{.*)", stream)
    return "".join(json.loads(one)["choices"][0]["delta"]["content"] for one in events)


def test_a_redacted_value_that_an_answer_gives_is_known_when_it_comes_back(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    forms = ("percent", "base64 1", "hex", "plain")
    given = [FORMS[form](EXPORTED) for form in forms] + [SHAPED]
    for number, value in enumerate(given):
        upstream.script(f"/v1/sessions/{number}", Answer.json({"session": value}))
        upstream.script(f"/v1/chat/{number}", Answer.json({"content": f"welcome back {number}"}))
    # Each time the client says what it was given: in replay that is what stands in the recording.
    client = [
        "sh",
        "-c",
        f"for n in 0 1 2 3 4; do\n"
        f"given=$(curl -sS https://{HOST}/v1/sessions/$n | sed 's/.*: *\"//; s/\".*//')\n"
        f"curl -sS https://{HOST}/v1/chat/$n -H 'content-type: application/json'"
        ' --data-raw "{\\"session\\":\\"$given\\",\\"say\\":\\"I am $given\\"}"\ndone',
    ]
    wiretape("record", *options(upstream, tmp_path / "r"), "--", *client, env=ENVIRONMENT)
    sent = [json.loads(r.body)["session"] for r in upstream.requests if r.method == "POST"]
    assert sent == given
    assert leaked(written(tmp_path / "r")) == []
    replayed = wiretape("replay", "-r", tmp_path / "r", "--", *client)
    assert replayed.returncode == 0, replayed.stderr
    assert re.findall(r"welcome back (\d)", replayed.stdout) == ["0", "1", "2", "3", "4"]


# ------------------------------------------------------------------ the gate

PASSWORD = "hT7pQ2vN" + "x9LwZs4KfRb6"


# A number stays a number: redaction cannot take it out.
PIN = "271828182845904523536028"


def _recorded(
    wiretape: Wiretape, upstream: Upstream, folder: Path, answer: object
) -> subprocess.CompletedProcess[str]:
    upstream.script(CHAT, Answer.json(answer))
    return wiretape(
        "record",
        *("--report", folder / "report.json"),
        *options(upstream, folder / "r"),
        "--",
        *curl(),
        env={"PIN_TOKEN": PIN},
        cwd=folder,
    )


def test_what_can_be_replaced_is_not_refused(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    done = _recorded(wiretape, upstream, tmp_path, {"user": {"name": "Ann", "password": PASSWORD}})
    assert done.returncode == 0, done.stderr
    assert PASSWORD in done.stdout
    (document,) = documents(tmp_path / "r")
    assert document["response"]["body"]["__data__"]["user"]["name"] == "Ann"
    assert not stands(PASSWORD, [done.stderr.encode(), *written(tmp_path)])


def test_the_gate_refuses_a_recording_that_would_hold_a_secret_and_says_what_to_do(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    done = _recorded(wiretape, upstream, tmp_path, {"user": {"pin": int(PIN)}})
    assert done.returncode == 4, done.stderr
    assert PIN in done.stdout
    assert documents(tmp_path / "r") == []
    assert "refused" in done.stderr
    assert "redact: {gate: warn}" in done.stderr
    assert not stands(PIN, [done.stderr.encode(), *written(tmp_path)])


def test_a_gate_that_only_warns_writes_and_says_so(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("redact: {gate: warn}\n")
    done = _recorded(wiretape, upstream, tmp_path, {"user": {"pin": int(PIN)}})
    assert done.returncode == 0, done.stderr
    assert len(documents(tmp_path / "r")) == 1
    assert "pin-token still stands" in done.stderr
    assert not stands(PIN, [done.stderr.encode(), (tmp_path / "report.json").read_bytes()])


def test_the_gate_cannot_be_turned_off(wiretape: Wiretape, tmp_path: Path) -> None:
    for word in ("off", '"off"', "false"):
        (tmp_path / "config.yaml").write_text(f"redact: {{gate: {word}}}\n")
        done = wiretape("record", "--", "echo", "never")
        assert (done.returncode, done.stdout) == (2, "")
        assert "config.yaml:1: redact.gate" in done.stderr
        assert "warn" in done.stderr


def test_what_cannot_be_searched_is_not_written_unless_it_is_named(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    headers = [("Content-Type", "application/json"), ("Content-Encoding", "x-odd")]
    upstream.script(CHAT, Answer(headers=headers, chunks=[base64.b85encode(b"who knows" * 9)]))
    record = ("record", *options(upstream, tmp_path / "r"), "--", *curl())
    done = wiretape(*record)
    assert done.returncode == 4, done.stderr
    assert documents(tmp_path / "r") == []
    assert "x-odd" in done.stderr
    (tmp_path / "config.yaml").write_text("redact: {unsearched: [x-odd]}\n")
    done = wiretape(*record)
    assert done.returncode == 0, done.stderr
    assert len(documents(tmp_path / "r")) == 1


def test_a_value_that_an_answer_named_is_secret_in_later_requests_and_they_replay(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text('redact: {json: ["$.tok"]}\n')
    later = {
        "/m": curl("/m", json.dumps({"note": f"use {CARRIED}, please"})),
        "/f": [*curl("/f", None), "--data-raw", f"x={CARRIED}"],
        "/q": curl(f"/q?x={CARRIED}", None),
        f"/v1/files/{CARRIED}": curl(f"/v1/files/{CARRIED}", None),
        "/b": curl("/b", json.dumps({"d": base64.b64encode(f"me:{CARRIED}".encode()).decode()})),
    }
    upstream.script(CHAT, Answer.json({"tok": CARRIED}))
    for path in later:
        upstream.script(path, Answer.json({"path": path[:3]}))
    client = shell(curl(), *later.values())
    done = wiretape("record", *options(upstream, tmp_path / "r"), "--", *client)
    assert done.returncode == 0, done.stderr
    assert len(documents(tmp_path / "r")) == 6
    assert leaked(written(tmp_path / "r")) == []
    ints = re.sub(r"\s", "", ",".join(map(str, CARRIED.encode())))
    assert not any(ints in re.sub(r"\s", "", text.decode("latin-1")) for text in written(tmp_path))
    assert (
        len(
            set(
                re.findall(
                    rb"REDACTED-[a-z0-9-]+",
                    b"".join(path.read_bytes() for path in (tmp_path / "r").rglob("*.json")),
                )
            )
        )
        == 1
    )
    again = wiretape("replay", "-r", tmp_path / "r", "--", *client)
    assert again.returncode == 0, again.stderr


# ------------------------------------------------------------------ wiretape redact

# What a login's answer gives is sent by all that follows: the session in a path and in JSON, the
# URL to upload to, the cursor of the last answer in a query.
FLOW = f"""
set -e
field() {{ sed 's/.*"'$1'": *"//; s/".*//'; }}
ask() {{ curl -sS "$@"; }}
post() {{ ask -H 'content-type: application/json' "$@"; }}
session=$(post https://{HOST}/v1/login -d '{{"user":"me"}}' | field session)
place=$(post -D - -o /dev/null https://{HOST}/v1/uploads -d '{{"session":"'$session'"}}' |
    tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
ask -X PUT "$place" --data-raw 'a=1&s='$session
ask https://{HOST}/v1/sessions/$session/events
cursor=$(ask "https://{HOST}/v1/list?n=1" | field next)
ask "https://{HOST}/v1/list?n=1&after=$cursor"
"""


def test_a_conversation_recorded_before_the_rules_were_is_redacted_and_replays_whole(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    # No name tells of these: only the rule that comes later does.
    session, cursor, upload = CARRIED, ASKED, CARRIED[::-1]
    upstream.script("/v1/login", Answer.json({"session": session, "say": "in"}))
    place = f"https://{HOST}/up/{upload}?n=1"
    upstream.script(
        "/v1/uploads", Answer.json({"say": "here", "to": upload}, headers=[("Location", place)])
    )
    upstream.script(f"/up/{upload}", Answer.json({"say": "uploaded"}))
    upstream.script(f"/v1/sessions/{session}/events", Answer(headers=STREAM, chunks=EVENTS))
    upstream.script("/v1/list", Answer.json({"next": cursor}), Answer.json({"say": "last"}))
    client = ["sh", "-c", FLOW]
    recorded = wiretape("record", *options(upstream, tmp_path / "r"), "--", *client)
    assert recorded.returncode == 0, recorded.stderr
    assert "last" in recorded.stdout
    folder = tmp_path / "r"
    assert stands(session, written(folder))

    (tmp_path / "config.yaml").write_text('redact: {json: ["$.session", "$.next", "$.to"]}\n')
    done = wiretape("redact", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "6 requests replayed and answered as before" in done.stderr
    assert not any(stands(value, written(folder)) for value in (session, cursor, upload))

    replayed = wiretape("replay", "-r", folder, "--", *client, cwd=tmp_path)
    assert (replayed.returncode, replayed.stdout) == (0, recorded.stdout), replayed.stderr
