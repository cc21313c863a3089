"""`wiretape drift` and `migrate`: against the same provider, another version of it, and none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result
from tests.support import paths
from tests.support.faithful_provider import KEY, FaithfulProvider
from tests.support.stored import document, put

from wiretape.cli.main import main
from wiretape.core.errors import WiretapeError
from wiretape.core.model import Chunk, Exchange, Request, Response
from wiretape.core.recording.document import from_exchange
from wiretape.demo.local_provider import LocalProvider
from wiretape.drift import sending
from wiretape.library.recording_file import load

TOGETHER = "api.together.xyz"
SETS = {"shipped": paths.RECORDINGS, "llama-stack": paths.SHARED / "data" / "llama-stack"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WIRETAPE_HOME", str(state))
    monkeypatch.setenv("TOGETHER_API_KEY", KEY)
    for name in ("OPENAI_API_KEY", "FIREWORKS_API_KEY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    # On a busy machine an answer may take as long as it likes.
    Path("config.yaml").write_text("drift: {timing: 1000000}")
    return tmp_path / "recordings"


def run(*args: str | Path, url: str = "", command: str = "drift") -> Result:
    route = ["--map", f"{TOGETHER}={url}"] if url else []
    words = [command, *map(str, args), *route]
    return CliRunner().invoke(main, words, prog_name="wiretape", catch_exceptions=False)


def outcomes(result: Result) -> dict[str, int]:
    found: dict[str, int] = json.loads(result.stdout)["outcomes"]
    return found


def changes(result: Result) -> set[tuple[str, str]]:
    rows = json.loads(result.stdout)["measurements"]
    return {(change["change"], change["verdict"]) for row in rows for change in row["changes"]}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*.json"))
    }


# ------------------------------------------------------------------ the same provider


@pytest.mark.parametrize("name", ["shipped", pytest.param("llama-stack", marks=pytest.mark.slow)])
def test_a_faithful_provider_has_no_regression(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not SETS[name].is_dir():
        pytest.skip(f"{SETS[name].name} is not beside the project (../shared/data)")
    shutil.copytree(SETS[name], here, ignore=shutil.ignore_patterns("*.md"))
    exchanges, hosts = [], set()
    for path in here.rglob("*.json"):
        try:
            exchange = load(path).exchange
        except WiretapeError:
            continue
        exchanges.append(exchange)
        hosts.add(exchange.request.authority)
    for variable in (
        "OPENAI_API_KEY",
        "FIREWORKS_API_KEY",
        "GEMINI_API_KEY",
        "AZURE_OPENAI_API_KEY",
    ):
        monkeypatch.setenv(variable, KEY)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", KEY)
    before = contents(here)
    with FaithfulProvider(exchanges).running() as provider:
        routes = [word for host in hosts for word in ("--map", f"{host}={provider.url}/{host}")]
        result = run("--json", *routes)
    found = outcomes(result)
    assert not found.keys() & {"regression", "new"}, result.stdout
    assert sum(found.get(kind, 0) for kind in ("same", "benign")) >= (
        4 if name == "shipped" else 59
    )
    assert contents(here) == before


# ------------------------------------------------------------------ another version of it


def drop(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda answer: {key: value for key, value in answer.items() if key not in names}


def counted_as_text(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "created": str(answer["created"])}


NO_USAGE = {("member-went", "regression"), ("usage-went", "regression")}
VERSIONS: dict[str, tuple[Any, set[tuple[str, str]], int]] = {
    "the same": (None, set(), 0),
    "without usage": (drop("usage"), NO_USAGE, 5),
    "other types": (counted_as_text, {("type", "regression")}, 5),
    "a member more": (lambda a: {**a, "build": "7"}, {("member-came", "new")}, 0),
}  # fmt: skip


@pytest.fixture
def recorded(here: Path) -> Path:
    """A streamed answer and one in one piece of the local provider's, as it is today."""
    for stream in (True, False):
        put(here, document("Hello", stream=stream))
    with LocalProvider.in_thread(token_delay=0) as provider:
        first = run("--update", "--json", url=provider.url)
        assert first.exit_code in (0, 5), first.stderr
    assert len(contents(here)) == 2
    return here


@pytest.mark.parametrize("name", VERSIONS)
def test_two_versions_of_a_provider_differ_as_they_were_made_to(name: str, recorded: Path) -> None:
    version, expected, status = VERSIONS[name]
    before = contents(recorded)
    with LocalProvider.in_thread(token_delay=0, version=version) as provider:
        result = run("--json", url=provider.url)
    grave = {change for change in changes(result) if change[1] != "benign"}
    assert (grave, result.exit_code) == (expected, status)
    assert contents(recorded) == before


def test_update_records_what_drifted_and_leaves_the_rest(recorded: Path) -> None:
    before = contents(recorded)

    def only_streams(answer: dict[str, Any]) -> dict[str, Any]:
        return {**answer, "build": "7"} if "chunk" in answer["object"] else answer

    with LocalProvider.in_thread(token_delay=0, version=only_streams) as provider:
        result = run("--update", "--report", "drift.md", "--report", "drift.xml", url=provider.url)
        assert (result.exit_code, "1 recorded anew" in result.stderr) == (0, True)
        after = contents(recorded)
        assert after.keys() == before.keys()
        changed = [name for name in after if after[name] != before[name]]
        assert len(changed) == 1
        assert b'"build": "7"' in after[changed[0]]
        assert KEY.encode() not in b"".join(after.values())
        assert run(url=provider.url).exit_code == 0
    assert "| 🆕 new | **shape** `chat.completion.chunk.build: a member came` |" in (
        Path("drift.md").read_text()
    )
    assert 'failures="0"' in Path("drift.xml").read_text()


def test_all_takes_of_a_request_are_recorded_anew(here: Path) -> None:
    first = put(here, document("again"))
    second = first.with_name(first.name.replace(".json", ".2.json"))
    put(here, document("again", at="2026-11-21T00:00:00Z"), f"{second.relative_to(here)}")
    with LocalProvider.in_thread(token_delay=0) as provider:
        assert "2 recorded anew" in run("--update", url=provider.url).stderr
        assert provider.requests == 2
    assert b"You said" in first.read_bytes()
    assert b"You said" in second.read_bytes()


def test_one_request_of_several_sessions_is_sent_once_and_recorded_in_each(here: Path) -> None:
    for session in ("one", "two"):
        put(here / session, document("Hello"))
    with LocalProvider.in_thread(token_delay=0) as provider:
        assert "2 recorded anew" in run("--update", url=provider.url).stderr
        assert provider.requests == 1
    both = list(contents(here).values())
    assert len(both) == 2
    assert all(b"You said" in data for data in both)


def test_names_choose_as_many_as_they_fit(here: Path) -> None:
    first = put(here, document("again"))
    put(here, document("again"), first.relative_to(here).as_posix().replace(".json", ".2.json"))
    put(here, document("Hello"))
    with LocalProvider.in_thread(token_delay=0) as provider:
        for name in (first.stem[:8], str(first), first.stem + ".2"):
            result = run("--json", name, url=provider.url)
            [row] = json.loads(result.stdout)["measurements"]
            assert len(row["recordings"]) == 2
        result = run("--json", "api.together.xyz/", url=provider.url)
        assert len(json.loads(result.stdout)["measurements"]) == 2


def test_a_slower_answer_alone_is_not_recorded_anew(here: Path) -> None:
    stored = document("Hello")
    provider = FaithfulProvider([load(put(here, stored)).exchange])
    put(here, {**stored, "response": {**stored["response"], "end_at": 90.0}})
    Path("config.yaml").write_text(
        "drift: {rules: [{tier: timing, change: faster, verdict: regression}]}"
    )
    before = contents(here)
    with provider.running():
        result = run("--update", "--json", url=provider.url)
    assert (result.exit_code, changes(result)) == (5, {("faster", "regression")})
    assert contents(here) == before


# ------------------------------------------------------------------ not measured


def faithful(here: Path) -> FaithfulProvider:
    """A recording of `here`, and a provider that answers the same."""
    return FaithfulProvider([load(put(here, document("Hello"))).exchange])


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What would have been waited for."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(round(seconds))

    defaults: Any = sending.SendOptions.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "sleep", sleep)
    return waited


def test_without_a_key_nothing_is_sent(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", "tgp_v1_wiretape-replay-no-key")
    with faithful(here).running() as provider:
        result = run(url=provider.url)
    assert (result.exit_code, provider.requests) == (6, [])
    assert "no key for together: set TOGETHER_API_KEY" in result.stdout


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_and_nothing_compared(here: Path, status: int) -> None:
    put(here, document("Another"))
    with faithful(here).running() as provider:
        provider.scripted = [web.json_response({"error": {"message": "bad key"}}, status=status)]
        result = run("--json", "--concurrency", "1", url=provider.url)
    assert (result.exit_code, outcomes(result)) == (6, {"failed": 2})
    assert len(provider.requests) == 1
    assert "refused the key" in result.stdout
    assert KEY not in result.output


def test_retry_after_is_waited_for(here: Path, waits: list[float]) -> None:
    with faithful(here).running() as provider:
        busy = web.json_response({}, status=429, headers={"retry-after": "17"})
        provider.scripted = [busy]
        assert run(url=provider.url).exit_code == 0
    assert waits == [17]


def test_who_is_to_wait_too_long_is_not_measured(here: Path, waits: list[float]) -> None:
    with faithful(here).running() as provider:
        provider.scripted = [web.json_response({}, status=429, headers={"retry-after": "9999"})]
        result = run(url=provider.url)
    assert (result.exit_code, waits) == (6, [])
    assert "asks to wait 9999 s" in result.stdout


def test_a_provider_that_is_down_is_not_measured(here: Path, waits: list[float]) -> None:
    put(here, document("Hello"))
    put(here, document("Another"))
    result = run("--json", "--concurrency", "1", url="http://127.0.0.1:1")
    assert (result.exit_code, outcomes(result)) == (6, {"failed": 2})
    assert waits == [1, 2, 4, 8], "the second was not tried"
    assert "api.together.xyz cannot be asked: it cannot be connected to" in result.stdout


def test_one_that_only_fails_is_not_measured(here: Path, waits: list[float]) -> None:
    with faithful(here).running() as provider:
        provider.scripted = [web.json_response({}, status=503) for _ in range(5)]
        assert run(url=provider.url).exit_code == 6


def test_a_budget_ends_half_way(here: Path) -> None:
    both = [load(put(here, document(prompt))).exchange for prompt in ("Hello", "Another")]
    with FaithfulProvider(both).running() as provider:
        result = run("--json", "--budget", "1", "--concurrency", "1", url=provider.url)
    assert len(provider.requests) == 1
    assert (result.exit_code, outcomes(result)) == (6, {"same": 1, "failed": 1})
    assert "the budget of 1 request is spent" in result.stdout


def test_a_budget_of_money_lasts_as_long_as_the_prices_say(here: Path) -> None:
    prices = "prices: [{provider: together, model: m, input: 1000, output: 1000}]"
    Path("config.yaml").write_text(prices)
    put(here, document("Hello"))
    put(here, document("Another"))
    with LocalProvider.in_thread(token_delay=0) as provider:
        result = run("--json", "--budget", "0.03USD", "--concurrency", "1", url=provider.url)
        assert provider.requests == 1
    shown = json.loads(result.stdout)
    assert (shown["outcomes"]["failed"], shown["budget"]["refused"]) == (1, 1)
    assert float(shown["budget"]["spent"]["amount"]) > 0.03
    assert "of 0.030 USD spent" in result.stderr
    Path("config.yaml").unlink()
    with LocalProvider.in_thread(token_delay=0) as provider:
        unknown = run("--budget", "1USD", url=provider.url)
        assert (unknown.exit_code, provider.requests) == (6, 0)
    assert "has none; add it to `prices`" in unknown.stdout
    assert run("--budget", "much").exit_code == 2


def test_what_makes_something_is_sent_only_where_it_may_be(here: Path) -> None:
    body = b'{"input_file_id":"f","endpoint":"/v1/chat/completions"}'
    headers = (("content-type", "application/json"),)
    request = Request("POST", "https", TOGETHER, 443, "/v1/batches", headers=headers, body=body)
    exchange = Exchange(request, Response(200, headers, (Chunk(b'{"id":"batch_1"}', 0.1),)))
    put(here, from_exchange(exchange), f"{TOGETHER}/v1-batches/0123456789ab.json")
    with FaithfulProvider([exchange]).running() as provider:
        result = run(url=provider.url)
        assert (result.exit_code, provider.requests) == (6, [])
        assert "may make or change something" in result.stdout
        assert run("--unsafe", url=provider.url).exit_code == 0
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"edited": {"parts": ["text"]}}, "edited by hand"),
        ({"response": {"status": 429}}, "which depends on the moment"),
        ({"response": {"end": "cut"}}, "not recorded whole"),
        ({"request": {"ids": {"file-1": "0123456789ab#0"}}}, "an id that an earlier answer gave"),
        ({"request": {"body": {"model": "m", "k": "REDACTED-secret"}}}, "redacted values"),
    ],
)
def test_what_says_nothing_of_the_provider_is_skipped(
    here: Path, changes: dict[str, Any], reason: str
) -> None:
    stored = document("Hello")
    for name, members in changes.items():
        stored[name] = {**stored.get(name, {}), **members}
    put(here, stored)
    with FaithfulProvider([]).running() as provider:
        result = run("--unsafe", url=provider.url)
    assert (result.exit_code, provider.requests) == (6, [])
    assert reason in result.stdout


def test_folders_are_sent_as_they_are_here_and_stored_as_stand_ins(here: Path) -> None:
    put(here, {**document("read {cwd}/main.py"), "paths": ["cwd"]})
    with LocalProvider.in_thread(token_delay=0) as provider:
        assert "1 recorded anew" in run("--update", url=provider.url).stderr
    [(name, data)] = contents(here).items()
    stored = json.loads(data)
    assert stored["request"]["body"]["messages"][0]["content"] == "read {cwd}/main.py"
    assert stored["paths"] == ["cwd"]
    text = stored["response"]["body"]["__data__"]["choices"][0]["message"]["content"]
    assert "{cwd}/main.py" in text
    assert str(Path.cwd()) not in data.decode()
    assert name == next(iter(contents(here)))


def test_a_provider_of_config_yaml_has_its_own_key(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_LLM_TOKEN", "our-" + KEY)
    Path("config.yaml").write_text(
        "providers: {ours: {hosts: [llm.example.com], key_env: [OUR_LLM_TOKEN], errors: anthropic}}"
    )
    stored = document("Hello")
    stored["request"]["url"] = "https://llm.example.com/v1/messages"
    stored["request"]["endpoint"] = "/v1/messages"
    exchange = load(put(here, stored, "0123456789ab.json")).exchange
    with FaithfulProvider([exchange]).running() as provider:
        assert run("--map", f"llm.example.com={provider.url}").exit_code == 0
    assert provider.requests[0][1]["x-api-key"] == "our-" + KEY


def test_a_key_goes_where_the_pack_says(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    hosts = {
        "api.anthropic.com": "/v1/messages",
        "generativelanguage.googleapis.com": "/v1beta/models/g:generateContent?key=REDACTED-secret",
    }
    headers = (("content-type", "application/json"),)
    exchanges = []
    for host, target in hosts.items():
        request = Request("POST", "https", host, 443, target, headers=headers, body=b'{"a":1}')
        exchanges.append(Exchange(request, Response(200, headers, (Chunk(b'{"b":2}', 0.1),))))
        put(here, from_exchange(exchanges[-1]), f"{host}/x/0123456789ab.json")
    with FaithfulProvider(exchanges).running() as provider:
        routes = [word for host in hosts for word in ("--map", f"{host}={provider.url}/{host}")]
        assert run(*routes).exit_code == 0
    sent = {
        target.partition("?")[0].partition("com/")[2]: (target, headers)
        for target, headers, _ in provider.requests
    }
    target, got = sent["v1/messages"]
    assert (got["x-api-key"], "authorization" in got) == (KEY, False)
    assert got["anthropic-version"] == "2023-06-01"
    target, got = sent["v1beta/models/g:generateContent"]
    assert target.endswith(f"?key={KEY}")
    assert "x-goog-api-key" not in got


def test_a_key_is_not_sent_without_tls(here: Path) -> None:
    stored = document("Hello")
    stored["request"]["url"] = stored["request"]["url"].replace("https:", "http:")
    put(here, stored)
    result = run()
    assert (result.exit_code, "asked without TLS" in result.stdout) == (6, True)


def test_a_choice_of_nothing_is_wrong_usage(here: Path) -> None:
    put(here, document("Hello"))
    assert run("--only", "/v1/embeddings").exit_code == 2
    assert run("nosuchkey").exit_code == 2
    assert run("--report", "drift.txt").exit_code == 2
    assert run("--rate", "fast").exit_code == 2


# ------------------------------------------------------------------ another model


def test_another_model_is_recorded_as_a_session_and_compared(recorded: Path) -> None:
    before = contents(recorded)
    with LocalProvider.in_thread(token_delay=0) as provider:
        result = run("--to", "big-1", "--json", url=provider.url, command="migrate")
        again = run("--to", "big-1", "--json", url=provider.url, command="migrate")
    after = contents(recorded)
    assert {name: after[name] for name in before} == before
    made = [json.loads(data) for name, data in after.items() if name.startswith("migrate-big-1/")]
    assert [each["request"]["body"]["model"] for each in made] == ["big-1", "big-1"]
    assert outcomes(result) == outcomes(again) == {"benign": 2}
    assert len(json.loads(again.stdout)["measurements"]) == 2


def test_another_base_url_takes_the_same_requests(recorded: Path) -> None:
    with LocalProvider.in_thread(token_delay=0) as provider:
        options = ("--to-url", f"{provider.url}/v1", "--into", "here", "--json")
        result = run(*options, command="migrate")
        assert provider.requests == 2
    # The local provider wants a key, and nobody's host is given any.
    assert (result.exit_code, outcomes(result)) == (6, {"failed": 2})
