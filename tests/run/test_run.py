"""The command line: exit statuses, bad input, signals, what CMD is given."""

import fcntl
import http.client
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.commands import Wiretape, command, serving, start
from tests.support.limits import PATIENCE, wait_until
from tests.support.stream_call import BODY, CHAT, EVENTS, HOST, STREAM, curl, documents, options
from tests.support.upstream import Answer, Upstream

SECRET = "tgp_v1_" + "Xq7" * 14 + "z"


def test_the_exit_status_is_cmds(wiretape: Wiretape) -> None:
    assert wiretape("replay", "--", "sh", "-c", "exit 7").returncode == 7
    assert wiretape("replay", "--", "sh", "-c", "kill -9 $$").returncode == 137
    assert wiretape("replay", "--allow-none", "--", "true").returncode == 0


def test_cmds_output_is_its_own(wiretape: Wiretape) -> None:
    done = wiretape("replay", "--", "sh", "-c", "echo out; echo err >&2")
    assert done.stdout == "out\n"
    assert "err\n" in done.stderr


@pytest.mark.parametrize("mode", ["record", "replay", "auto"])
def test_a_program_that_is_not_there_is_named_and_nothing_starts(
    wiretape: Wiretape, mode: str
) -> None:
    done = wiretape(mode, "--", "no-such-program-here", "x")
    assert done.returncode == 2
    assert done.stderr == (
        "wiretape: no-such-program-here: no such program, or not executable; nothing was started\n"
    )


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_a_port_that_is_taken_is_named(wiretape: Wiretape, mode: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = wiretape(mode, "--port", str(port), "--", "echo", "never")
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 cannot be used" in done.stderr
    assert "never" not in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-c", "nowhere.yaml"], "nowhere.yaml"),
        (["--pace", "fast"], "fast"),
        (["--session", "a/.."], "session 'a/..'"),
        (["--map", "api.together.xyz"], "expected HOST=URL"),
        (["--upstream-ca", "nowhere.pem"], "nowhere.pem"),
        (["--port", "99999"], "99999"),
        (["--report", "nowhere/report.json"], "--report nowhere/report.json: its folder"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_a_wrong_option_is_told_and_nothing_starts(
    wiretape: Wiretape, arguments: list[str], told: str
) -> None:
    done = wiretape("record", *arguments, "--", "echo", "never")
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("recordings: [1\n", "config.yaml:2"),
        ("matching: {}\n", "config.yaml:1: matching"),
        ("pace: fast\n", "config.yaml:1: pace"),
        (
            'redact: {patterns: [{name: x, regex: "["}]}\n',
            "config.yaml:1: redact.patterns[0].regex",
        ),
    ],
)
def test_a_wrong_configuration_is_told_by_line_and_nothing_starts(
    wiretape: Wiretape, tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    done = wiretape("replay", "--", "echo", "never")
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_missing_is_told_in_replay(wiretape: Wiretape) -> None:
    done = wiretape("replay", "-r", "nowhere", "--", *curl())
    assert "nowhere: no such folder, so every request will be a miss" in done.stderr
    assert "there are no recordings" in done.stdout
    assert done.returncode == 3


def test_a_place_that_cannot_hold_recordings_is_told_before_cmd_starts(
    wiretape: Wiretape, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    done = wiretape("record", "-r", "file/below", "--", "echo", "never")
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be written" in done.stderr


def test_a_recording_that_cannot_be_written_fails_the_run_and_not_the_client(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    folder = tmp_path / "r"
    # A file in place of the host's folder: as good as a full disk, and root is stopped as well.
    folder.mkdir()
    (folder / HOST).write_text("in the way")
    done = wiretape("record", *options(upstream, folder), "--", *curl())
    assert done.stdout.encode() == b"".join(EVENTS)
    assert done.returncode == 4
    assert "refused   together  POST" in done.stderr
    assert "not written: " in done.stderr


def test_a_run_in_which_nothing_reached_the_proxy_says_so(wiretape: Wiretape) -> None:
    done = wiretape("record", "--", "true")
    assert done.returncode == 0
    assert "nothing reached the proxy" in done.stderr
    assert "trust_env" in done.stderr


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_a_client_that_does_not_trust_the_proxy_is_told_how_to(
    wiretape: Wiretape, upstream: Upstream, mode: str
) -> None:
    client = f"curl -s --cacert {upstream.ca_file} https://{HOST}/v1/models; true"
    done = wiretape(mode, "-r", "r", "--", "sh", "-c", client)
    assert f"does not trust wiretape's certificate for {HOST}" in done.stderr


KEYS = ["TOGETHER_API_KEY", "OPENAI_API_KEY", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"]


def test_cmd_has_no_real_key_in_replay(wiretape: Wiretape) -> None:
    real = dict.fromkeys(KEYS[1:], SECRET)
    done = wiretape("replay", "--allow-none", "--", "env", env=real)
    assert SECRET not in done.stdout
    for name in KEYS:
        assert f"\n{name}=" in done.stdout
    kept = wiretape("replay", "--allow-none", "--keep-keys", "--", "env", env=real)
    assert kept.stdout.count(SECRET) == len(real)
    recording = wiretape("record", "--", "env", env=real)
    assert recording.stdout.count(SECRET) == len(real)
    assert "TOGETHER_API_KEY=" not in recording.stdout


def test_auto_takes_the_keys_away_only_where_it_replays(wiretape: Wiretape) -> None:
    real = {"OPENAI_API_KEY": SECRET}
    assert SECRET in wiretape("auto", "--", "env", env=real).stdout
    done = wiretape("auto", "--allow-none", "--", "env", env={**real, "CI": "1"})
    assert SECRET not in done.stdout


def test_a_key_sent_in_a_body_matches_with_a_dummy_in_its_place(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer.json({"ok": True}))
    url = f"https://{HOST}{CHAT}"
    header = "content-type: application/json"
    data = """--data-raw "{\\"note\\": \\"$TOGETHER_API_KEY\\"}" """
    script = f"curl -sS {url} -H '{header}' {data}"
    env = {"TOGETHER_API_KEY": SECRET}
    client = ["sh", "-c", script]
    done = wiretape("record", *options(upstream, tmp_path / "r"), "--", *client, env=env)
    assert (done.returncode, done.stdout) == (0, '{"ok": true}'), done.stderr
    assert all(SECRET not in path.read_text() for path in (tmp_path / "r").rglob("*.json"))
    for options_of in ([], ["--keep-keys"]):
        done = wiretape("replay", *options_of, "-r", tmp_path / "r", "--", *client)
        assert (done.returncode, done.stdout) == (0, '{"ok": true}'), done.stderr


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_cmd_is_told_the_base_url(wiretape: Wiretape, upstream: Upstream, mode: str) -> None:
    client = ["sh", "-c", f"curl -s --noproxy '*' $WIRETAPE_BASE_URL/{HOST}/v1/models"]
    upstream.script("/v1/models", Answer.json({"data": []}))
    wiretape("record", *options(upstream, Path("r")), "--", *client)
    done = wiretape(mode, *options(upstream, Path("r")), "--", *client)
    assert done.stdout == '{"data": []}'


def test_env_prints_what_a_serving_proxy_needs(
    clean_env: dict[str, str], wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    assert wiretape("env").returncode == 2
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    wiretape("record", *options(upstream, tmp_path / "r"), "--", *curl())
    with serving(["replay", "-r", tmp_path / "r"], clean_env, tmp_path):
        lines = wiretape("env").stdout
        shell = ["sh", "-c", f'{lines}exec "$@"', "sh", *curl()]
        done = subprocess.run(shell, env=clean_env, capture_output=True, timeout=PATIENCE)
    assert done.stdout == b"".join(EVENTS), done.stderr
    assert "TOGETHER_API_KEY" in lines


def test_env_leads_in_clients_that_ignore_the_proxy_and_names_base_urls(
    clean_env: dict[str, str], wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script("/v1/models", Answer(chunks=[b"the models"]))
    ask = (
        "import http.client as h; c = h.HTTPSConnection('api.together.xyz');"
        " c.request('GET', '/v1/models'); print(c.getresponse().read().decode())"
    )
    client = [sys.executable, "-c", ask]
    wiretape("record", *options(upstream, tmp_path / "r"), "--", *client)
    show = "echo $TOGETHER_BASE_URL; cat $WGETRC"
    with serving(["replay", "-r", tmp_path / "r"], clean_env, tmp_path):
        lines = wiretape("env", "--base-url").stdout
        shell = ["sh", "-c", f'{lines}{show}; exec "$@"', "sh", *client]
        done = subprocess.run(
            shell, env=clean_env, capture_output=True, timeout=PATIENCE, text=True, check=False
        )
    url, wgetrc, answer = done.stdout.splitlines()
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/api.together.xyz/v1")
    assert wgetrc.startswith("ca_certificate = ")
    assert answer == "the models", done.stderr


def test_env_cannot_name_base_urls_of_a_proxy_that_does_not_serve(wiretape: Wiretape) -> None:
    assert wiretape("env", "--port", "8899").stdout
    done = wiretape("env", "--port", "8899", "--base-url")
    assert done.returncode == 2
    assert "no wiretape is serving" in done.stderr


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_serving_ends_with_130_on_ctrl_c_and_0_on_sigterm(
    clean_env: dict[str, str], tmp_path: Path, mode: str
) -> None:
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
        with serving([mode, "-r", tmp_path / "r"], clean_env, tmp_path) as (process, ready):
            assert ready.startswith(f"wiretape {mode} is ready: HTTPS_PROXY=http://127.0.0.1:")
            process.send_signal(number)
            assert process.wait(timeout=PATIENCE) == status


def test_signals_reach_cmd(clean_env: dict[str, str], tmp_path: Path) -> None:
    waiter = "trap 'echo got it; exit 5' TERM; echo up; while :; do sleep 0.05; done"
    with subprocess.Popen(
        command("replay", "-q", "--", "sh", "-c", waiter),
        env=clean_env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.terminate()
        assert process.stdout.readline() == "got it\n"
        assert process.wait(timeout=PATIENCE) == 5


def test_no_secret_of_the_request_or_the_environment_stands_anywhere(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("redact: {env: [DATABASE_PASSWORD]}\n")
    password = "hunter2-" + "correct-horse-battery"
    answer = f'data: {{"echo":"{SECRET}","db":"{password}"}}\n\n'
    headers = [*STREAM, ("Set-Cookie", "session=abcdef0123456789"), ("openai-organization", "o")]
    upstream.script(CHAT, Answer(headers=headers, chunks=[answer.encode(), b"data: [DONE]\n\n"]))
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": f"a {SECRET} b"}]})
    client = curl(f"{CHAT}?key={SECRET}", body, HOST, "-H", f"Authorization: Bearer {SECRET}")
    client += ["-H", "Cookie: s=0123456789abcdef0123"]
    report = tmp_path / "report.json"
    arguments = ["record", "-v", "--report", report, *options(upstream, tmp_path / "r"), "--"]
    upstream.script(f"{CHAT}?key={SECRET}", Answer(headers=headers, chunks=[answer.encode()]))
    done = wiretape(*arguments, *client, env={"DATABASE_PASSWORD": password})
    assert SECRET in done.stdout, "the client gets the provider's true bytes"
    (place,) = (tmp_path / "r").rglob("*.json")
    written = place.read_text() + str(place) + done.stderr + report.read_text()
    for secret in (SECRET, password, "abcdef0123456789", "0123456789abcdef0123"):
        assert secret not in written
    assert "REDACTED-" in place.read_text()
    # The same request with another key, and with none in the environment, is answered.
    other = "tgp_v1_" + "Ab3" * 14 + "c"
    again = wiretape(
        "replay", "-r", tmp_path / "r", "--", *[part.replace(SECRET, other) for part in client]
    )
    assert "REDACTED-" in again.stdout, again.stderr
    assert again.returncode == 0


def test_a_miss_shows_no_secret(wiretape: Wiretape, tmp_path: Path) -> None:
    body = json.dumps({"model": "m", "token": SECRET})
    client = curl(f"{CHAT}?api_key={SECRET}", body, HOST, "-H", f"x-api-key: {SECRET}")
    report = tmp_path / "report.json"
    done = wiretape("replay", "-v", "-r", "r", "--report", report, "--", *client)
    assert done.returncode == 3
    assert SECRET not in done.stdout + done.stderr + report.read_text()


def test_a_session_has_a_folder_of_its_own(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    wiretape("record", "--session", "one", *options(upstream, tmp_path / "r"), "--", *curl())
    assert len(documents(tmp_path / "r" / "one" / HOST)) == 1
    assert wiretape("replay", "-r", tmp_path / "r", "--", *curl()).returncode == 3
    done = wiretape("replay", "--session", "one", "-r", tmp_path / "r", "--", *curl())
    assert done.stdout.encode() == b"".join(EVENTS)


def test_a_kill_in_the_middle_of_a_run_leaves_what_was_finished(
    clean_env: dict[str, str], upstream: Upstream, tmp_path: Path
) -> None:
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    arguments = ["record", *options(upstream, tmp_path / "r")]
    with serving(arguments, clean_env, tmp_path) as (process, ready):
        proxy = ready.split("HTTPS_PROXY=")[1].split(",")[0]
        subprocess.run(
            [*curl(), "-k", "-x", proxy], env=clean_env, capture_output=True, timeout=PATIENCE
        )
        wait_until(lambda: any((tmp_path / "r").rglob("*.json")))
        process.kill()
        process.wait(timeout=PATIENCE)
    (document,) = documents(tmp_path / "r")
    assert document["request"]["body"] == json.loads(BODY)


def test_a_terminal_shows_what_is_under_way_and_what_is_over(
    clean_env: dict[str, str], upstream: Upstream, tmp_path: Path
) -> None:
    gate = threading.Event()
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS, gates={2: gate}))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("record", *options(upstream, tmp_path / "r")),
        env={**clean_env, "TERM": "xterm", "COLUMNS": "200"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    with process:
        assert process.stdout is not None
        proxy = process.stdout.readline().split("HTTPS_PROXY=")[1].split(",")[0]
        client = [*curl(), "-k", "-x", proxy]
        with subprocess.Popen(client, stdout=subprocess.PIPE, env=clean_env):
            shown = _until(ours, b"together  POST /v1/chat/completions  m  ")
            assert b"reads" in shown + _until(ours, b"reads")
            gate.set()
            _until(ours, b"recorded  together  POST /v1/chat/completions")
        process.terminate()
        _until(ours, b"1 recorded")
        assert process.wait(timeout=PATIENCE) == 0
    os.close(ours)


def test_a_log_that_nobody_reads_stops_no_answer(clean_env: dict[str, str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    arguments = ("replay", "--allow-none", "--port", "0", "--base-url-port", "0", "-r", "r")
    with start(arguments, clean_env, tmp_path, stderr=writer) as process:
        os.close(writer)
        assert process.stdout is not None
        door = process.stdout.readline().split("base URLs http://")[1].split("/")[0]
        with closing(http.client.HTTPConnection(door, timeout=PATIENCE)) as client:
            for number in range(200):
                client.request("GET", f"/api.openai.com/v1/models/{number}")
                client.getresponse().read()
        process.terminate()
        log = b"".join(iter(lambda: os.read(reader, 65536), b"")).decode()
        assert process.wait(timeout=PATIENCE) == 3
    os.close(reader)
    assert log.count("\nmissed ") + log.startswith("missed ") == 200
    assert "wiretape replay: 200 missed" in log


def _until(descriptor: int, text: bytes) -> bytes:
    """What a terminal is sent up to and with `text`; pytest's time limit ends a wait in vain."""
    got = b""
    while text not in got:
        got += os.read(descriptor, 65536)
    return got


def test_a_fault_inside_is_an_answer_and_fails_the_run(
    wiretape: Wiretape, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if '-m' in sys.orig_argv and 'wiretape' in sys.orig_argv:\n"
        "    import wiretape.engine.replayer as replay\n"
        "    def fail(*_): raise RuntimeError('broken')\n"
        "    replay.Replayer.answer = fail\n"
    )
    done = wiretape(
        "replay", "--", "sh", "-c", "curl -s https://api.openai.com/v1/models; true",
        env={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert "wiretape failed inside (RuntimeError)" in done.stdout
    assert "Traceback" not in done.stderr
    assert done.returncode == 3


def test_help_shows_commands_that_work(wiretape: Wiretape) -> None:
    done = wiretape("--help")
    for text in ("record", "replay", "auto", "demo", "env", "wiretape record -- pytest tests/"):
        assert text in done.stdout
    assert wiretape("--version").stdout.startswith("wiretape, version ")


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; import wiretape.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    heavy = {"mitmproxy", "aiohttp", "pydantic", "rich", "yaml", "cryptography"}
    assert heavy & {name.partition(".")[0] for name in done.stdout.split()} == set()


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_the_proxy_listens_on_loopback_alone_unless_told(
    wiretape: Wiretape, tmp_path: Path, mode: str
) -> None:
    (tmp_path / "r").mkdir()
    command = ["sh", "-c", "echo $HTTPS_PROXY"]
    done = wiretape(mode, "-r", tmp_path / "r", "--", *command)
    assert done.stdout.startswith("http://127.0.0.1:")
    (tmp_path / "config.yaml").write_text("listen: {host: 127.0.0.2}\n")
    told = wiretape(mode, "-r", tmp_path / "r", "--", *command)
    assert told.stdout.startswith("http://127.0.0.2:")
