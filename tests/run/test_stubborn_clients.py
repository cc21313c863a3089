"""Clients that ignore the proxy or the variables of trust are led in all the same."""

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support import paths
from tests.support.commands import Wiretape
from tests.support.limits import PATIENCE
from tests.support.tools import working

from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording.document import from_exchange
from wiretape.core.recording.text import dumps
from wiretape.run.stubborn_clients import OPT_OUT, stubborn_clients

PROXY = "http://127.0.0.1:8899"
URL = "https://api.openai.com/v1/models"
ANSWER = "the recorded answer"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    import trustme

    path = tmp_path / "bundle.pem"
    trustme.CA().cert_pem.write_to_path(path)
    trustme.CA().cert_pem.write_to_path(path, append=True)
    return path


def variables(bundle: Path, **environ: str) -> dict[str, str]:
    return stubborn_clients(environ, proxy_url=PROXY, bundle=bundle, folder=bundle.parent)


# ------------------------------------------------------------------ the variables


def test_what_the_user_has_set_stays_and_ours_is_added(bundle: Path) -> None:
    found = variables(bundle, NODE_OPTIONS="--trace-warnings", PYTHONPATH="/mine:/his")
    assert found["NODE_OPTIONS"].startswith("--trace-warnings --require ")
    assert found["PYTHONPATH"].endswith(":/mine:/his")
    again = variables(bundle, **found)
    assert again["NODE_OPTIONS"] == found["NODE_OPTIONS"]
    assert "PYTHONPATH" not in again


def test_all_of_it_can_be_left_out(bundle: Path) -> None:
    assert variables(bundle, **{OPT_OUT: "1"}) == {}


def test_java_gets_proxy_and_trust_store_where_there_is_a_java(
    bundle: Path, tmp_path: Path
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    assert "JDK_JAVA_OPTIONS" not in variables(bundle, PATH=str(tools))
    (tools / "java").write_text("#!/bin/sh\n")
    (tools / "java").chmod(0o755)
    options = variables(bundle, PATH=str(tools), JDK_JAVA_OPTIONS="-Xmx1g")["JDK_JAVA_OPTIONS"]
    assert options.startswith("-Xmx1g -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=8899 ")
    (store,) = tmp_path.glob("trust-*.p12")
    assert f'"-Djavax.net.ssl.trustStore={store}"' in options
    made = store.stat().st_mtime_ns
    variables(bundle, PATH=str(tools))
    assert store.stat().st_mtime_ns == made


def test_options_that_the_user_has_for_every_jvm_stay_with_him(bundle: Path) -> None:
    found = variables(bundle, JAVA_TOOL_OPTIONS="-Xmx1g", PATH=os.environ["PATH"])
    assert "JAVA_TOOL_OPTIONS" not in found


def test_wget_keeps_the_users_settings_but_for_whom_it_trusts(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / ".wgetrc").write_text("tries = 3\nCA_Certificate = /mine.pem\nquiet = on")
    text = Path(variables(bundle, HOME=str(tmp_path))["WGETRC"]).read_text()
    assert text == f"tries = 3\nquiet = on\nca_certificate = {bundle}\n"


def test_nobody_else_may_read_the_wgetrc_which_may_hold_a_password(
    bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / ".wgetrc").write_text("http_password = hunter2\n")
    made = Path(variables(bundle, HOME=str(tmp_path))["WGETRC"])
    assert "hunter2" in made.read_text()
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


# ------------------------------------------------------------------ the clients themselves


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    request = Request("GET", "https", "api.openai.com", 443, "/v1/models")
    response = Response(200, (("content-type", "text/plain"),), (Chunk(ANSWER.encode()),))
    (folder / "models.json").write_text(dumps(from_exchange(Exchange(request, response))))
    return folder


def asked(
    wiretape: Wiretape, recorded: Path, *line: str, env: Mapping[str, str] | None = None
) -> str:
    done = wiretape("replay", "-r", recorded, "--", *line, env=env, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


PYTHON = {
    "urllib3": "import urllib3; print(urllib3.request('GET', url).data.decode())",
    "urllib3's pool": "import urllib3; p = urllib3.PoolManager(retries=False);"
    " print(p.request('GET', url, headers={'x': 'y'}).data.decode())",
    "http.client": "import http.client as h; c = h.HTTPSConnection('api.openai.com');"
    " c.request('GET', '/v1/models'); print(c.getresponse().read().decode())",
    "aiohttp": "exec('''import asyncio, aiohttp\n"
    "async def main():\n"
    "    async with aiohttp.ClientSession() as session:\n"
    "        async with session.get(url) as answer: print(await answer.text())\n"
    "asyncio.run(main())''')",
    "urllib": "import urllib.request as u; print(u.urlopen(url).read().decode())",
    "requests": "import requests; print(requests.get(url).text)",
    "httpx": "import httpx; print(httpx.get(url, timeout=600).text)",
}


@pytest.mark.parametrize("name", PYTHON)
def test_a_python_client_reaches_the_proxy(wiretape: Wiretape, recorded: Path, name: str) -> None:
    code = f"import sys; url = sys.argv[1]; {PYTHON[name]}"
    assert asked(wiretape, recorded, sys.executable, "-c", code, URL) == f"{ANSWER}\n"


def test_a_python_client_goes_past_where_the_user_says_so(
    wiretape: Wiretape, recorded: Path
) -> None:
    code = f"import sys; url = sys.argv[1]; {PYTHON['urllib3']}"
    line = [sys.executable, "-c", code, "https://api.openai.invalid/"]
    done = wiretape("replay", "-r", recorded, "--", *line, env={OPT_OUT: "1"}, timeout=PATIENCE)
    assert "NameResolutionError" in done.stderr


def test_a_sitecustomize_of_the_users_own_is_run_too(
    wiretape: Wiretape, recorded: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "sitecustomize.py").write_text("import builtins; builtins.MINE = 'mine'\n")
    code = f"import sys; url = sys.argv[1]; print(MINE); {PYTHON['urllib3']}"
    environ = {"PYTHONPATH": str(tmp_path / "mine")}
    out = asked(wiretape, recorded, sys.executable, "-c", code, URL, env=environ)
    assert out == f"mine\n{ANSWER}\n"


NODE = {
    "fetch": "fetch(process.argv[1]).then(r => r.text()).then(console.log)",
    "https": "require('https').get(process.argv[1], r => r.pipe(process.stdout))",
    "https with an agent of its own": "const https = require('https');"
    "https.get(process.argv[1], {agent: new https.Agent({keepAlive: true})},"
    " r => { r.pipe(process.stdout); r.on('end', () => process.exit()) })",
}


@pytest.mark.parametrize("name", NODE)
@pytest.mark.skipif(working("node") is None, reason="there is no node that runs on PATH")
def test_a_node_client_reaches_the_proxy(wiretape: Wiretape, recorded: Path, name: str) -> None:
    program = working("node")
    assert program is not None
    assert asked(wiretape, recorded, program, "-e", NODE[name], URL).strip() == ANSWER


@pytest.mark.skipif(working("wget") is None, reason="there is no wget that runs on PATH")
def test_wget_trusts_the_proxy(wiretape: Wiretape, recorded: Path) -> None:
    assert asked(wiretape, recorded, "wget", "-nv", "--tries=1", "-O", "-", URL) == ANSWER


@pytest.mark.skipif(
    working("java", "-version") is None, reason="there is no java that runs on PATH"
)
def test_java_reaches_the_proxy_and_trusts_it(
    wiretape: Wiretape, recorded: Path, tmp_path: Path
) -> None:
    from wiretape.doctor.probes import SOURCES

    source = tmp_path / "Probe.java"
    source.write_text(SOURCES["Probe.java"])
    assert asked(wiretape, recorded, "java", str(source), URL) == f"{ANSWER}\n"


def test_the_preloads_ship_with_the_package() -> None:
    preload = paths.ROOT / "proxy" / "wiretape" / "run" / "preload"
    assert (preload / "node.cjs").is_file()
    assert (preload / "python" / "sitecustomize.py").is_file()
