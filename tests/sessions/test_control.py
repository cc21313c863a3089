import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.library.library import Library
from wiretape.report.report import Report
from wiretape.sessions.control import DECIDING, Control, LocalNames, is_control, why_foreign
from wiretape.sessions.sessions import Sessions

GUARD = {"host": "127.0.0.1:8899", "authorization": "Bearer secret-token"}


@pytest.fixture
def drained() -> list[str]:
    return []


@pytest.fixture
def control(tmp_path: Path, drained: list[str]) -> Control:
    async def drain() -> None:
        drained.append("yes")

    sessions = Sessions(lambda name: Library(tmp_path, Matcher(built_in()), session=name))
    return Control(sessions, Report("replay"), drain, "secret-token")


async def ask(control: Control, line: str, **headers: str) -> tuple[int, Any]:
    method, path = line.split(" ")
    reply = await control.handle(method, path, {**GUARD, **headers})
    return reply.status, reply.document


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_probes_need_no_token_and_tell_nothing(control: Control, method: str) -> None:
    for path in ("/healthz", "/readyz", "/readyz?verbose"):
        reply = await control.handle(method, path, {"host": "127.0.0.1:1"})
        assert (reply.status, reply.document) == (200, {"status": "ok"})
    assert (await control.handle("POST", "/healthz", {"host": "127.0.0.1:1"})).status == 405
    assert (await control.handle("GET", "/healthz", {"host": "evil.example"})).status == 403


def test_a_replay_is_not_ready_before_its_recordings_are_there(
    control: Control, tmp_path: Path
) -> None:
    tmp_path.rmdir()
    assert asyncio.run(ask(control, "GET /readyz"))[0] == 503
    assert asyncio.run(ask(control, "GET /healthz"))[0] == 200
    tmp_path.mkdir()
    assert asyncio.run(ask(control, "GET /readyz"))[0] == 200


def test_a_token_is_made_where_none_is_given(tmp_path: Path) -> None:
    sessions = Sessions(lambda name: Library(tmp_path, Matcher(built_in()), session=name))
    one, two = Control(sessions, Report("replay")), Control(sessions, Report("replay"))
    assert len(one.token) >= 32
    assert one.token != two.token


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/wiretape", True),
        ("/wiretape/", True),
        ("/wiretape?x=1", True),
        ("/wiretape/sessions/a", True),
        ("/wiretaper", False),
        ("/wiretape.example.com/v1", False),
        ("/api.openai.com/wiretape", False),
    ],
)
def test_the_endpoint_has_a_place_of_its_own(path: str, meant: bool) -> None:
    assert is_control(path) is meant


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:8899"},
        {"host": "localhost"},
        {"host": "[::1]:8899"},
        {"host": "0.0.0.0:1"},
        {},
        {"host": "127.0.0.1", "origin": "http://localhost:3000"},
        {"host": "127.0.0.1", "sec-fetch-site": "same-origin"},
        {"host": "127.0.0.1", "sec-fetch-site": "none"},
    ],
)
def test_this_machine_is_not_foreign(headers: dict[str, str]) -> None:
    assert why_foreign(headers, LocalNames()) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": ""},
        {"host": "localhost.evil.example:80"},
        {"host": "[::1"},
        {"host": "127.0.0.1", "origin": "https://evil.example"},
        {"host": "127.0.0.1", "origin": "null"},
        {"host": "127.0.0.1", "sec-fetch-site": "cross-site"},
        {"host": "127.0.0.1", "origin": "http://localhost:3000", "sec-fetch-site": "Cross-Site "},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_another_machines_name_is_foreign(headers: dict[str, str]) -> None:
    assert why_foreign(headers, LocalNames())


def test_who_is_open_to_others_is_asked_by_address_or_by_a_name_that_was_given() -> None:
    local = LocalNames(frozenset({"host.docker.internal"}), open=True)
    assert why_foreign({"host": "192.168.1.5:8080"}, local) is None
    assert why_foreign({"host": "host.docker.internal:8080"}, local) is None
    assert why_foreign({"host": "evil.example"}, local)
    # A page may stand at any address.
    assert why_foreign({"host": "192.168.1.5", "origin": "http://192.168.1.6"}, local)


async def test_who_has_no_token_learns_nothing(control: Control) -> None:
    for header in ("", "Bearer", "Bearer wrong", "Basic secret-token"):
        status, document = await ask(control, "GET /wiretape", authorization=header)
        assert status == 401
        assert "sessions" not in document
        assert "secret-token" not in str(document)


@given(st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_whatever_is_sent_for_a_token_is_compared(text: str) -> None:
    sessions = Sessions(lambda name: Library(Path("none"), Matcher(built_in()), session=name))
    control = Control(sessions, Report("replay"), token="secret-token")
    for header in (text, f"Bearer {text}"):
        headers = {**GUARD, "authorization": header}
        reply = asyncio.run(control.handle("GET", "/wiretape", headers))
        assert reply.status == (200 if text.strip() == "secret-token" else 401)


async def test_a_foreign_host_is_refused_even_with_the_token(control: Control) -> None:
    assert (await ask(control, "GET /wiretape", host="evil.example"))[0] == 403


async def test_a_run_tells_its_sessions(control: Control) -> None:
    await ask(control, "POST /wiretape/sessions/one/start")
    status, document = await ask(control, "GET /wiretape")
    assert status == 200
    assert document["mode"] == "replay"
    assert [session["name"] for session in document["sessions"]] == [None, "one"]


async def test_a_session_is_started_asked_reset_and_finished(
    control: Control, drained: list[str]
) -> None:
    started = await ask(control, "POST /wiretape/sessions/one/start")
    told = {"name": "one", "recordings": 0, "counts": {}, "used": [], "problems": []}
    assert started == (200, told)
    assert await ask(control, "GET /wiretape/sessions/one") == (200, told)
    assert await ask(control, "POST /wiretape/sessions/one/reset") == (200, told)
    assert drained == []
    finished = await ask(control, "POST /wiretape/sessions/one/finish")
    assert finished == (200, {**told, "unused": []})
    assert drained == ["yes"]
    assert (await ask(control, "GET /wiretape/sessions/one"))[0] == 404


async def test_a_session_in_folders_is_named_in_one_part_of_the_path(
    control: Control, tmp_path: Path
) -> None:
    recording = tmp_path / "shared/api.openai.com/v1-models/0123456789ab.json"
    recording.parent.mkdir(parents=True)
    recording.write_text("{}")
    place = "/wiretape/sessions/test_cart%2Ftest_pays"
    started = await ask(control, f"POST {place}/start?folder=shared&client=gw0")
    assert started == (
        200,
        {"name": "shared", "recordings": 0, "counts": {}, "used": [], "problems": []},
    )
    assert (await ask(control, f"POST {place}/start?folder=other"))[0] == 400
    assert (await ask(control, f"POST {place}/start?folder=..%2Fother"))[0] == 400
    assert (await ask(control, f"POST {place}/start?folder=shared&client=a.b"))[0] == 400
    status, document = await ask(control, f"POST {place}/finish")
    assert (status, document["name"]) == (200, "shared")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /wiretape/sessions/none", 404),
        ("POST /wiretape/sessions/none/reset", 404),
        ("POST /wiretape/sessions/none/finish", 404),
        ("GET /wiretape/elsewhere", 404),
        ("GET /wiretape/sessions/a/b/c", 404),
        ("POST /wiretape", 405),
        ("DELETE /wiretape/sessions/one", 405),
        ("GET /wiretape/sessions/one/start", 405),
        ("POST /wiretape/sessions/one/explode", 405),
        ("POST /wiretape/sessions/..%2fup/start", 400),
    ],
)
async def test_what_is_not_understood_is_told(control: Control, line: str, status: int) -> None:
    got, document = await ask(control, line)
    assert got == status
    assert document["error"]["message"].startswith("wiretape: ")


def test_what_decides_that_a_request_is_foreign_is_listed() -> None:
    class Asked(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            names.add(name)
            return super().get(name, default)

    names: set[str] = set()
    assert why_foreign(Asked(host="localhost"), LocalNames()) is None
    assert names == set(DECIDING)
