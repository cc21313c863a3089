"""Node, stock: its fetch, and the npm package openai, through the real proxy over TLS.

Node comes as a Python package; `npm ci` fetches openai once, into .cache beside the project.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.clients.cases import (
    Case,
    chat_object,
    chat_objects,
    contains,
    raw,
    raw_whole,
    streamed,
    whole,
)
from tests.clients.rounds import KEYS, Clients, Round, Rounds
from tests.support import paths
from tests.support.commands import serving
from tests.support.limits import PATIENCE
from tests.support.npm import NODE
from tests.support.upstream import Received, Upstream

PROJECT = paths.ROOT
PROGRAMS = paths.ROOT / "tests" / "clients" / "node"
FETCH = {case.name: case for case in (raw_whole("fetch.whole"), raw("fetch.streamed"))}
# What a number above 2^53 becomes in JavaScript is no affair of the proxy's.
SEED = 2**53


def openai_cases() -> dict[str, Case]:
    answer, chunks = chat_object("npm.whole"), chat_objects("npm.streamed")
    answer["choices"][0]["seed"] = chunks[-1]["choices"][0]["seed"] = SEED
    cases = (whole("npm.whole", answer), streamed("npm.streamed", chunks))
    return {case.name: case for case in cases}


OPENAI = openai_cases()
CASES = FETCH | OPENAI


def going_directly(provider: Upstream) -> dict[str, str]:
    return {
        "NODE_EXTRA_CA_CERTS": str(provider.ca_file),
        "OPENAI_BASE_URL": provider.url + "/npm/v1",
        "CLIENTS_URL": provider.url + "/others",
    }


@pytest.fixture(scope="module")
def fetched(clean_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Rounds:
    clients = Clients([NODE, PROGRAMS / "fetch.mjs"], FETCH, clean_env, going_directly)
    return clients.ask(tmp_path_factory.mktemp("fetch"))


@pytest.fixture(scope="module")
def openai_asked(
    packages: Path, clean_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Rounds:
    # A module looks for its packages from where it lies.
    cwd = tmp_path_factory.mktemp("openai")
    for program in PROGRAMS.glob("*.mjs"):
        shutil.copy(program, cwd)
    (cwd / "node_modules").symlink_to(packages, target_is_directory=True)
    clients = Clients([NODE, cwd / "openai.mjs"], OPENAI, clean_env, going_directly)
    return clients.ask(cwd)


@pytest.fixture(params=list(CASES))
def asked(request: pytest.FixtureRequest) -> tuple[Rounds, Case]:
    """Each case with the rounds it was in."""
    fixture = "fetched" if request.param in FETCH else "openai_asked"
    return request.getfixturevalue(fixture), CASES[request.param]


# ------------------------------------------------------------------ through the proxy


def test_the_client_understands_the_provider(asked: tuple[Rounds, Case]) -> None:
    rounds, case = asked
    assert rounds.direct.end(case.name) == {"end": "ok"}
    got = rounds.direct.got(case.name)
    assert contains(got, case.sent), (got, case.sent)


def test_recording_changes_nothing_for_the_client(asked: tuple[Rounds, Case]) -> None:
    rounds, case = asked
    assert rounds.recorded.lines[case.name] == rounds.direct.lines[case.name]


def test_replay_gives_the_client_what_it_got(asked: tuple[Rounds, Case]) -> None:
    rounds, case = asked
    assert rounds.replayed.lines[case.name] == rounds.direct.lines[case.name]


def test_an_event_reaches_the_client_before_the_next_is_sent(asked: tuple[Rounds, Case]) -> None:
    rounds, _ = asked
    assert rounds.recorded.late == set()


def test_the_provider_gets_the_request_as_it_was_made(asked: tuple[Rounds, Case]) -> None:
    rounds, case = asked
    [direct], [recorded] = rounds.direct.requests[case.name], rounds.recorded.requests[case.name]
    assert (recorded.method, recorded.target) == (direct.method, direct.target)
    assert without_host(recorded) == without_host(direct)
    assert recorded.header("Host") == case.host
    assert recorded.body == direct.body


def without_host(request: Received) -> list[tuple[str, str]]:
    return [(name, "" if name.lower() == "host" else value) for name, value in request.headers]


def test_replay_needs_no_provider(asked: tuple[Rounds, Case]) -> None:
    rounds, _ = asked
    before, after = rounds.connections
    assert before == after >= 1
    assert rounds.recorded.report["counts"] == {"recorded": 2}
    assert rounds.replayed.report["counts"] == {"replayed": 2}
    assert (rounds.recorded.status, rounds.replayed.status) == (0, 0)


@pytest.mark.parametrize("name", FETCH)
def test_fetch_gets_the_bytes_that_were_sent(fetched: Rounds, name: str) -> None:
    assert "".join(fetched.replayed.got(name)).encode() == FETCH[name].plain


# ------------------------------------------------------------------ by base URL


def fetch_by_base_url(ready: str, env: Mapping[str, str], key: str) -> Round:
    """What fetch.mjs prints when it knows no proxy and no certificate, only a base URL."""
    found = re.search(r"http://127\.0\.0\.1:\d+/HOST", ready)
    assert found is not None, ready
    place = found[0].replace("HOST", "api.together.xyz")
    ran = subprocess.run(
        [NODE, PROGRAMS / "fetch.mjs", *FETCH],
        env={**env, "CLIENTS_URL": place, "TOGETHER_API_KEY": key},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    result = Round()
    for text in ran.stdout.splitlines():
        result.read(text)
    return result


def test_a_base_url_replays_what_the_proxy_recorded(
    fetched: Rounds, clean_env: dict[str, str], tmp_path: Path
) -> None:
    with serving(["replay", "-r", fetched.recordings], clean_env, tmp_path) as (_, ready):
        got = fetch_by_base_url(ready, clean_env, "any key will do")
    assert got.lines == fetched.direct.lines


def test_a_base_url_records_what_the_proxy_would(
    fetched: Rounds, clean_env: dict[str, str], tmp_path: Path
) -> None:
    with Upstream() as provider:
        for case in FETCH.values():
            provider.script(case.target, case.answer)
        args: list[str | Path] = ["record", "-r", tmp_path, "--upstream-ca", provider.ca_file]
        args += ["--map", f"api.together.xyz={provider.url}"]
        with serving(args, clean_env, tmp_path) as (_, ready):
            got = fetch_by_base_url(ready, clean_env, KEYS["TOGETHER_API_KEY"])
        hosts = [request.header("Host") for request in provider.requests]
    assert got.lines == fetched.direct.lines
    assert hosts == ["api.together.xyz"] * 2
    assert names(tmp_path) == names(fetched.recordings)


def names(folder: Path) -> list[Any]:
    """The recordings' names, which hold their keys."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*.json"))


# ------------------------------------------------------------------ the packages


def test_the_lock_file_names_no_host() -> None:
    text = (PROGRAMS / "package-lock.json").read_text()
    assert "://" not in text
    assert '"resolved"' not in text
    assert '"integrity": "sha512-' in text
