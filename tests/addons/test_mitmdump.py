"""`mitmdump -s addons/record.py` and replay.py, for people who run mitmproxy already."""

import json
import subprocess
from pathlib import Path

import pytest
from tests.support.limits import PATIENCE
from tests.support.mitmdump import ADDONS, MITMDUMP, mitmdump
from tests.support.stream_call import CHAT, EVENTS, HOST, STREAM, curl, documents
from tests.support.upstream import Answer, Upstream


def get(proxy: str, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*curl(), "-k", "-x", proxy], env=env, capture_output=True, timeout=PATIENCE, check=False
    )


def test_record_and_replay_inside_mitmdump(
    clean_env: dict[str, str], tmp_path: Path, upstream: Upstream
) -> None:
    (tmp_path / "config.yaml").write_text('providers: {here: {hosts: ["localhost"]}}\n')
    upstream.script(CHAT, Answer(headers=STREAM, chunks=EVENTS))
    port = upstream.url.rpartition(":")[2]
    url = f"https://localhost:{port}{CHAT}"
    client = [url if part == f"https://{HOST}{CHAT}" else part for part in curl()]
    trust = ("--set", f"ssl_verify_upstream_trusted_ca={upstream.ca_file}")
    with mitmdump("record.py", clean_env, tmp_path, *trust) as (_, proxy):
        live = subprocess.run(
            [*client, "-k", "-x", proxy, "--noproxy", ""],
            env=clean_env, capture_output=True, timeout=PATIENCE,
        )  # fmt: skip
    assert live.stdout == b"".join(EVENTS), live.stderr
    assert len(documents(tmp_path / "recordings")) == 1
    with mitmdump("replay.py", clean_env, tmp_path) as (_, proxy):
        again = subprocess.run(
            [*client, "-k", "-x", proxy, "--noproxy", ""],
            env=clean_env, capture_output=True, timeout=PATIENCE,
        )  # fmt: skip
    assert again.stdout == live.stdout
    assert len(upstream.requests) == 1


def test_a_miss_inside_mitmdump_is_answered_and_goes_nowhere(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    with mitmdump("replay.py", clean_env, tmp_path) as (_, proxy):
        done = get(proxy, clean_env)
    assert b"there are no recordings" in done.stdout


def test_an_exception_in_a_hook_lets_no_request_out(
    clean_env: dict[str, str], tmp_path: Path, upstream: Upstream
) -> None:
    """mitmproxy itself would log the exception and forward the request."""
    (tmp_path / "config.yaml").write_text('providers: {here: {hosts: ["localhost"]}}\n')
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import wiretape.engine.replayer as replay\n"
        "def fail(*_): raise RuntimeError('broken')\n"
        "replay.Replayer.answer = fail\n"
    )
    env = {**clean_env, "PYTHONPATH": str(tmp_path)}
    port = upstream.url.rpartition(":")[2]
    trust = ("--set", f"ssl_verify_upstream_trusted_ca={upstream.ca_file}")
    with mitmdump("replay.py", env, tmp_path, *trust) as (_, proxy):
        client = ["curl", "-sS", "-k", "-x", proxy, "--noproxy", "", f"https://localhost:{port}/"]
        done = subprocess.run(client, env=clean_env, capture_output=True, timeout=PATIENCE)
    assert b"wiretape failed inside" in done.stdout
    assert upstream.connections == 0


def test_wrong_configuration_ends_mitmdump(clean_env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("pace: fast\n")
    done = subprocess.run(
        [MITMDUMP, "-s", str(ADDONS / "replay.py"), "--listen-host", "127.0.0.1", "-p", "0"],
        env=clean_env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode != 0
    assert "config.yaml:1: pace" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["record", "replay"])
def test_the_scripts_hold_no_class_and_no_name_of_another_module(name: str) -> None:
    """mitmproxy leaves their folder on sys.path, and string annotations crash it (#8279)."""
    text = (ADDONS / f"{name}.py").read_text()
    assert "class " not in text
    assert sorted(path.name for path in ADDONS.glob("*.py")) == ["record.py", "replay.py"]


def test_what_the_configuration_and_options_say_holds_inside_mitmdump(
    clean_env: dict[str, str], tmp_path: Path, upstream: Upstream
) -> None:
    """Routes, the record mode, the most that is recorded, the control endpoint, base URLs."""
    (tmp_path / "config.yaml").write_text("record: {mode: append, max_body: 1}\n")
    port = upstream.url.rpartition(":")[2]
    options = (
        *("--set", f"ssl_verify_upstream_trusted_ca={upstream.ca_file}"),
        *("--set", f"wiretape_map={HOST}={upstream.url}"),
        *("--set", f"wiretape_map=localhost:{port}={upstream.url}"),
    )
    env = {**clean_env, "WIRETAPE_TOKEN": "a-token-of-mine"}

    def ask(proxy: str, *more: str) -> str:
        command = ["curl", "-sS", "-k", "--noproxy", "*", *more]
        done = subprocess.run(command, env=env, capture_output=True, timeout=PATIENCE, check=False)
        return done.stdout.decode()

    for text in ("one", "two"):
        upstream.script(CHAT, Answer.json({"text": text}))
        upstream.script("/v1/large", Answer.json({"text": "x" * (1 << 20)}))
        with mitmdump("record.py", env, tmp_path, *options) as (_, proxy):
            assert text in get(proxy, env).stdout.decode()
            assert text in ask(proxy, f"{proxy}/{HOST}{CHAT}?by=base-url")
            assert "xxx" in ask(proxy, f"{proxy}/{HOST}/v1/large")
            bearer = ("-H", "Authorization: Bearer a-token-of-mine")
            run = json.loads(ask(proxy, *bearer, f"{proxy}/wiretape"))
            assert (run["wiretape_control"], run["mode"]) == (1, "record")
            assert "expected `Authorization" in ask(proxy, f"{proxy}/wiretape")
    recorded = [
        document["response"]["body"]["__data__"]["text"] for document in documents(tmp_path)
    ]
    assert sorted(recorded) == ["one", "one", "two", "two"]
    with mitmdump("replay.py", env, tmp_path) as (_, proxy):
        for text in ("one", "two"):
            assert text in get(proxy, env).stdout.decode()
        assert "one" in ask(proxy, f"{proxy}/{HOST}{CHAT}?by=base-url")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("wiretape_map=nowhere", "wiretape_map: expected HOST=URL"),
        ("wiretape_record_mode=all", "wiretape_record_mode: expected replace, append or"),
    ],
)
def test_a_wrong_option_ends_mitmdump(
    clean_env: dict[str, str], tmp_path: Path, option: str, says: str
) -> None:
    command = [MITMDUMP, "-s", str(ADDONS / "record.py"), "-p", "0", "--set", option]
    done = subprocess.run(
        command,
        env=clean_env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
