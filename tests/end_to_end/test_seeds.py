"""llama-stack's recordings, answered through the real proxy: the four the project ships to stock
clients, and all of `shared/data` that has an HTTP form to a plain one.
"""

import contextlib
import json
import re
import shutil
import ssl
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support import paths
from tests.support.cases import in_one_test
from tests.support.commands import command, serving
from tests.support.limits import PATIENCE

from wiretape.core.errors import FormatError
from wiretape.core.model import Request
from wiretape.core.recording import llamastack
from wiretape.core.recording.document import to_request

RECORDINGS = paths.RECORDINGS
DATA = paths.DATA / "llama-stack"

# File, chunks, and the seed the last of them says.
SEEDS = {
    "33b71fb85bfb": (24, 4111464499205743000),
    "511eb1b92e34": (50, 12390303563326160000),
    "6730dcde0b73": (25, 16158686754257986000),
    "f0bbea34c5cc": (20, 10296991816860367000),
}


def stored(path: Path) -> Any:
    return json.loads(path.read_bytes())


def less_added_nulls(got: Any, said: Any) -> Any:
    """`got` without the nulls for which `said` has no member: SDKs make them."""
    if isinstance(got, dict) and isinstance(said, dict):
        return {
            key: less_added_nulls(value, said.get(key))
            for key, value in got.items()
            if value is not None or key in said
        }
    if isinstance(got, list) and isinstance(said, list) and len(got) == len(said):
        return [less_added_nulls(one, two) for one, two in zip(got, said, strict=True)]
    return got


# ------------------------------------------------------------------ the seeds, to stock clients


@pytest.fixture(scope="module")
def received(
    clean_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Any]]:
    """What `openai` and `together` make of each seed, by "CLIENT SEED"; neither knows of a key."""
    program = (sys.executable, "-m", "tests.clients.recorded", str(RECORDINGS))
    ran = subprocess.run(
        command("replay", "-q", "-r", RECORDINGS, "--", *program),
        env={**clean_env, "PYTHONPATH": str(paths.ROOT)},
        cwd=tmp_path_factory.mktemp("seeds"),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    found: dict[str, list[Any]] = defaultdict(list)
    for text in ran.stdout.splitlines():
        line = json.loads(text)
        found[line["call"]].append(line["got"])
    return found


@pytest.mark.parametrize("client", ["openai", "together"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_stock_client_gets_the_objects_of_a_seed(
    received: dict[str, list[Any]], client: str, seed: str
) -> None:
    got = received[f"{client} {seed}"]
    said = [item["__data__"] for item in stored(RECORDINGS / f"{seed}.json")["response"]["body"]]
    assert less_added_nulls(got, said) == said
    chunks, last_seed = SEEDS[seed]
    assert [chunk["choices"][0]["seed"] for chunk in got] == [None] * (chunks - 1) + [last_seed]


@pytest.mark.skipif(not paths.DATA.is_dir(), reason="shared/data is not beside the project")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_shipped_recording_is_the_seed_byte_for_byte(seed: str) -> None:
    name = f"{seed}.json"
    assert (RECORDINGS / name).read_bytes() == (paths.DATA / "seeds" / name).read_bytes()


# ------------------------------------------------------------------ everything, on the wire


def with_http_form() -> dict[str, Request]:
    """The request of each file that has one, by the file's name."""
    found = {}
    for path in sorted(DATA.glob("*.json")):
        with contextlib.suppress(FormatError):
            found[path.name] = to_request(llamastack.convert(stored(path)).document["request"])
    return found


REQUESTS = with_http_form()
SEED_REQUESTS = {
    seed: to_request(llamastack.convert(stored(RECORDINGS / f"{seed}.json")).document["request"])
    for seed in SEEDS
}
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason="llama-stack's recordings (shared/data) are not beside the project"
)


@dataclass(frozen=True)
class Door:
    """A plain client of a replay that serves."""

    port: int
    proxied: httpx.Client
    direct: httpx.Client
    by_base_url: bool = False

    def ask(self, request: Request) -> httpx.Response:
        """Through the proxy, or by base URL."""
        headers = [(name, value) for name, value in request.headers]
        if self.by_base_url:
            url = f"http://127.0.0.1:{self.port}/{request.authority}{request.target}"
            return self.direct.request(request.method, url, headers=headers, content=request.body)
        return self.proxied.request(
            request.method, request.url, headers=headers, content=request.body
        )


@contextlib.contextmanager
def door(
    args: Sequence[str | Path], env: Mapping[str, str], cwd: Path, *, by_base_url: bool = False
) -> Iterator[Door]:
    with serving(["replay", *args], env, cwd) as (_, ready):
        found = re.search(r"HTTPS_PROXY=(http://127\.0\.0\.1:(\d+))", ready)
        assert found is not None, ready
        authority = Path(env["WIRETAPE_HOME"]) / "mitmproxy-ca-cert.pem"
        context = ssl.create_default_context(cafile=str(authority))
        with (
            httpx.Client(
                proxy=found[1], verify=context, trust_env=False, timeout=PATIENCE
            ) as proxied,
            httpx.Client(trust_env=False, timeout=PATIENCE) as direct,
        ):
            yield Door(int(found[2]), proxied, direct, by_base_url)


@pytest.fixture(scope="module")
def seeds_door(
    clean_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    with door(["-r", RECORDINGS], clean_env, tmp_path_factory.mktemp("door")) as opened:
        yield opened


@pytest.fixture(scope="module", params=["by proxy", "by base URL"])
def data_door(
    clean_env: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Door]:
    cwd = tmp_path_factory.mktemp("data")
    shutil.copytree(DATA, cwd / "recordings", ignore=shutil.ignore_patterns("*.md"))
    by_base_url = request.param == "by base URL"
    with door([], clean_env, cwd, by_base_url=by_base_url) as opened:
        yield opened


def objects(answer: httpx.Response) -> list[Any]:
    """What an answer's body says; the end of a stream, "[DONE]", is one of them."""
    media = answer.headers["content-type"].partition(";")[0]
    if media == "application/x-ndjson":
        assert answer.text.endswith("\n")
        return [json.loads(line) for line in answer.text.splitlines()]
    if media != "text/event-stream":
        return [json.loads(answer.text)]
    assert answer.text.endswith("\n\n")
    found: list[Any] = []
    for event in answer.text[:-2].split("\n\n"):
        data = "\n".join(line[6:] for line in event.split("\n") if line.startswith("data: "))
        found.append(data if data == "[DONE]" else json.loads(data))
    return found


def objects_stored(document: Any) -> list[Any]:
    """What the file says was answered, read by the notes on llama-stack's format."""
    request, response = document["request"], document["response"]
    body = response["body"]
    if response.get("is_exception"):
        return [response["exception_data"]["body"]]
    if "payload" in request and response["is_streaming"]:
        data = [line[6:] for line in body if line.startswith("data: ")]
        return [text if text == "[DONE]" else json.loads(text) for text in data]
    if "payload" in request:
        return [body]
    items = [item["__data__"] for item in (body if isinstance(body, list) else [body])]
    if "embeddings" in request["url"]:
        # Together sent no usage; the SDK made a null of it.
        items = [{k: v for k, v in item.items() if (k, v) != ("usage", None)} for item in items]
    if response["is_streaming"]:
        return items if request["endpoint"].startswith("/api/") else [*items, "[DONE]"]
    return [{"object": "list", "data": items}] if isinstance(body, list) else items


def check(answer: httpx.Response, document: Any) -> None:
    response = document["response"]
    failed = response.get("is_exception")
    status = response["exception_data"]["status_code"] if failed else response.get("status", 200)
    assert answer.status_code == status
    assert answer.headers["x-wiretape"].startswith("replay ")
    got = objects(answer)
    if failed:
        got = [item["error"] for item in got]
    # As text, so that the order of members and the spelling of numbers count.
    assert json.dumps(got) == json.dumps(objects_stored(document))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_is_its_objects_and_done_on_the_wire(seeds_door: Door, seed: str) -> None:
    answer = seeds_door.ask(SEED_REQUESTS[seed])
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.endswith("\n\ndata: [DONE]\n\n")
    check(answer, stored(RECORDINGS / f"{seed}.json"))
    assert len(objects(answer)) == SEEDS[seed][0] + 1


@needs_data
@in_one_test("name", REQUESTS)
def test_a_recording_of_llama_stack_answers_its_request(data_door: Door, name: str) -> None:
    """With no configuration: the folder holds recordings of its host."""
    check(data_door.ask(REQUESTS[name]), stored(DATA / name))


@needs_data
def test_64_of_the_66_recordings_have_an_http_form() -> None:
    assert (len(REQUESTS), len(list(DATA.glob("*.json")))) == (64, 66)


@needs_data
def test_a_recording_without_an_http_form_is_named_and_skipped(
    clean_env: dict[str, str], tmp_path: Path
) -> None:
    [one, two] = sorted({path.name for path in DATA.glob("*.json")} - REQUESTS.keys())
    for name in (one, two):
        shutil.copy(DATA / name, tmp_path)
    ran = subprocess.run(
        command("replay", "-r", tmp_path, "--", sys.executable, "-c", ""),
        env=clean_env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert f"skipped {tmp_path / one}: has no HTTP form" in ran.stderr
    assert f"skipped {tmp_path / two}: has no HTTP form" in ran.stderr
