"""The page as it is served: to whom, with which headers, and what each view answers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, CookieJar
from aiohttp.test_utils import TestClient, TestServer
from tests.support.limits import PATIENCE
from tests.support.page_recordings import KEY, recording, write

from wiretape.config.load import load
from wiretape.report.report import Report, Row
from wiretape.ui.server import POLICY, Page, application, serving

FOLDER = "api.openai.com/v1-chat-completions"
A, B = f"{FOLDER}/aa0000000000.json", f"{FOLDER}/aa0000000000.2.json"
ATTACK = "<script>alert(1)</script>"

type Client = TestClient[Any, Any]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    # However busy the machine is, what has changed is seen.
    monkeypatch.setattr("wiretape.ui.server._PATIENT_SECONDS", PATIENCE)
    folder = tmp_path / "recordings"
    write(folder, A, recording(["Hel", "lo"], f"Say {ATTACK} {KEY}"))
    write(folder, B, recording(["Hullo"], "Say it"))
    (folder / "broken.json").write_text("{")
    (tmp_path / "outside.json").write_text((folder / A).read_text())
    return Page(config=load(None, {}), folder=folder)


@pytest.fixture
async def stranger(page: Page) -> AsyncIterator[Client]:
    jar = CookieJar(unsafe=True)  # for an address as host
    async with TestClient(TestServer(application(page)), cookie_jar=jar) as client:
        yield client


@pytest.fixture
async def client(stranger: Client, page: Page) -> Client:
    await stranger.get(f"/?token={page.token}")
    return stranger


async def text(
    client: Client, path: str, status: int = 200, headers: dict[str, str] | None = None
) -> str:
    response = await client.get(path, headers=headers)
    assert response.status == status, await response.text()
    check_headers(response)
    return await response.text()


def check_headers(response: ClientResponse) -> None:
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "no-referrer"


def test_the_policy_is_as_strict_as_promised() -> None:
    assert POLICY == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' data:"
    )


# ------------------------------------------------------------------ who is let in

PATHS = ["/", f"/recording?name={A}", f"/diff?name={A}&name={B}", "/run", "/run/events"]
PATHS += ["/maintenance", "/static/page.js", "/no"]


@pytest.mark.parametrize("path", PATHS)
async def test_without_the_token_nothing_is_shown(stranger: Client, path: str) -> None:
    seen = await text(stranger, path, 401)
    assert "open the page by the URL that wiretape printed" in seen
    assert "Say" not in seen


async def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_have_not(
    stranger: Client, page: Page
) -> None:
    response = await stranger.get(f"/?token={page.token}", allow_redirects=False)
    check_headers(response)
    assert (response.status, response.headers["Location"]) == (303, "/")
    assert "HttpOnly" in response.headers["Set-Cookie"]
    assert "SameSite=Strict" in response.headers["Set-Cookie"]
    await text(stranger, "/")


@pytest.mark.parametrize("token", ["", "x", "%F0%9F%98%80", "%ff"])
async def test_another_token_opens_nothing(stranger: Client, token: str) -> None:
    await text(stranger, f"/?token={token}", 403)
    await text(stranger, "/", 401)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_another_site_is_refused_even_with_the_cookie(
    client: Client, page: Page, headers: dict[str, str]
) -> None:
    for path in ("/", "/static/page.js", f"/?token={page.token}"):
        await text(client, path, 403, headers)


async def test_nothing_can_be_changed(client: Client) -> None:
    for path in ("/", "/recording", "/maintenance"):
        assert (await client.post(path)).status == 405


# ------------------------------------------------------------------ library


async def test_the_library_lists_what_is_there_and_what_is_broken(client: Client) -> None:
    seen = await text(client, "/")
    assert "3 recordings" in seen
    assert f'href="/recording?name={A}"' in seen
    assert "redacted: openai-key" in seen
    assert "broken.json</a> " in seen
    assert "Mend it, or delete it and record it again." in seen
    assert ATTACK not in seen


async def test_a_filter_works_as_a_form_and_as_a_part(client: Client) -> None:
    whole = await text(client, "/?q=hullo")
    part = await text(client, "/?q=hullo", headers={"HX-Request": "true"})
    assert whole.startswith("<!doctype html>")
    assert part.lstrip().startswith('<form id="results"')
    assert "1 recording" in part
    assert part.strip() in whole
    again = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert (await text(client, "/?q=hullo", headers=again)).startswith("<!doctype html>")


@pytest.mark.parametrize(
    "query",
    ["page=x", "page=-1", "page=99999999", "sort=;DROP", "state=x", "since=x", "status=%00"],
)
async def test_what_a_url_cannot_mean_is_left_out(client: Client, query: str) -> None:
    await text(client, f"/?{query}")


async def test_what_is_typed_is_not_html(client: Client) -> None:
    assert ATTACK not in await text(client, f"/?q={ATTACK}&model={ATTACK}&sort={ATTACK}")


async def test_a_file_that_changes_is_seen(client: Client, page: Page) -> None:
    await text(client, "/")
    write(page.folder, B, recording(["Later"], "Quite another"))
    assert "Quite another" in await text(client, "/")
    (page.folder / B).unlink()
    assert "2 recordings" in await text(client, "/")
    assert "no recording of this name" in await text(client, f"/recording?name={B}", 404)


# ------------------------------------------------------------------ recording, diff


async def test_a_recording_has_its_conversation_takes_and_events(client: Client) -> None:
    await text(client, "/")
    seen = await text(client, f"/recording?name={A}")
    assert "Hello" in seen
    assert ATTACK not in seen
    assert f'<a href="/recording?name={B}" data-take="next">2</a>' in seen
    assert "3 chunks as on the wire" in seen


async def test_later_events_are_a_page_away(client: Client, page: Page) -> None:
    write(page.folder, "long.json", recording([f"w{number} " for number in range(450)]))
    first = await text(client, "/recording?name=long.json")
    assert "1-200 of 451" in first
    later = await text(client, "/recording?name=long.json&from=400")
    assert "401-451 of 451" in later
    assert '<details id="events" open>' in later


async def test_a_page_is_bounded_whatever_the_recording(client: Client, page: Page) -> None:
    write(page.folder, "many.json", recording(["a word "] * 20_000))
    document = recording(["Hi"], "x" * 1_000_000)
    document["response"]["body"].append({"data": "y" * 1_000_000, "at": 1.0})
    write(page.folder, "large.json", document)
    for name in ("many.json", "large.json"):
        seen = await text(client, f"/recording?name={name}")
        assert len(seen) < 600_000
    assert "950000 more characters" in seen
    assert "996 kB more" in seen


@pytest.mark.parametrize(
    "name",
    ["../outside.json", "no.json", "", "/etc/passwd", "%00", f"{FOLDER}", "x/../../outside.json"],
)
async def test_what_is_not_below_the_folder_is_not_shown(client: Client, name: str) -> None:
    assert "no recording of this name" in await text(client, f"/recording?name={name}", 404)


async def test_a_link_out_of_the_folder_is_not_followed(client: Client, page: Page) -> None:
    (page.folder / "link.json").symlink_to(page.folder.parent / "outside.json")
    await text(client, "/recording?name=link.json", 404)


async def test_a_broken_file_says_why(client: Client) -> None:
    assert "broken.json: " in await text(client, "/recording?name=broken.json", 404)


async def test_two_recordings_are_compared(client: Client) -> None:
    seen = await text(client, f"/diff?name={A}&name={B}")
    assert "<del>Hello</del><ins>Hullo</ins>" in seen
    assert ATTACK not in seen
    await text(client, f"/diff?name={A}", 400)


# ------------------------------------------------------------------ run, maintenance


def report() -> Report:
    run = Report("replay")
    run.add(Row("replayed", "openai", "POST", "/v1/chat/completions", recording=A, first_chunk=0.2))
    return run


async def test_a_run_that_is_under_way_is_told_as_it_goes(client: Client, page: Page) -> None:
    assert "No run to look at" in await text(client, "/run")
    page.report = report()
    assert "1 replayed" in await text(client, "/run")
    async with client.get("/run/events") as events:
        assert events.headers["Content-Type"].startswith("text/event-stream")
        assert await events.content.readline() == b"data: changed\n"
        await events.content.readline()
        page.report.notice(f"look {ATTACK}")
        assert await events.content.readline() == b"data: changed\n"
        page.is_over = True
        assert b"event: over" in await events.content.read()
    part = await text(client, "/run", headers={"HX-Request": "true"})
    assert part.lstrip().startswith("<h1>replay, under way</h1>")
    assert ATTACK not in part


async def test_what_a_run_used_and_did_not_use_is_told(client: Client, page: Page) -> None:
    document = json.loads(json.dumps(report().as_json()))
    cost = {"amount": "3.4", "currency": "USD"}
    unpriced = [{"provider": "x", "model": "secret-model", "answers": 1}]
    usage = {"answers": 2, "tokens_in": 1_000, "tokens_out": 234, "estimated_answers": 0}
    document["usage"] = {"replayed": {**usage, "cost": [cost], "unpriced": unpriced}}
    page.document = document
    run = await text(client, "/run")
    assert "replayed 2 answers: 1,234 tokens, 3.4 USD not spent" in run
    assert "no price is known for secret-model" in run
    assert "used by the run" in await text(client, f"/recording?name={A}")
    seen = await text(client, "/?state=unused")
    assert (A in seen, B in seen) == (False, True)
    assert "1 recording" in (await text(client, "/maintenance")).split("Unused")[1]


async def test_maintenance_tells_the_commands_and_verifies_when_asked(client: Client) -> None:
    seen = await text(client, "/maintenance")
    assert "wiretape refresh --only older-than:90d -- CMD" in seen
    assert "broken.json" in seen
    seen = await text(client, "/maintenance?verify=1")
    assert "no-recording" in seen


async def test_a_fault_of_ours_is_said_without_a_traceback(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wiretape.ui.server.recording_view", lambda *_, **_options: 1 // 0)
    seen = await text(client, f"/recording?name={A}", 500)
    assert "wiretape itself failed: ZeroDivisionError" in seen
    assert "Traceback" not in seen


async def test_it_serves_on_loopback_as_long_as_it_is_wanted(page: Page) -> None:
    async with serving(page) as url:
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith(f"/?token={page.token}")
    assert page.is_over
