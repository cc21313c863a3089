"""The page of a run under way: there for who looks, and free for who does not."""

import asyncio
import subprocess
import sys
from pathlib import Path

from aiohttp import ClientSession, CookieJar
from tests.support.page_recordings import recording, write

from wiretape.config.load import load
from wiretape.report.report import Report, Row
from wiretape.ui.live import live_page


async def test_who_opens_the_url_sees_the_run_and_its_recordings(tmp_path: Path) -> None:
    write(tmp_path, "a.json", recording(["Hello"]))
    report = Report("replay")
    report.add(Row("replayed", "openai", "POST", "/v1/x", recording="a.json"))
    async with (
        live_page(load(None, {}), tmp_path, report) as url,
        ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser,
    ):
        base = url.partition("/run")[0]
        assert (await browser.get(f"{base}/run")).status == 401
        assert "replay, under way" in await (await browser.get(url)).text()
        seen = await browser.get(f"{base}/recording?name=a.json")
        assert "used by the run" in await seen.text()
        assert (await browser.get(url.replace("token=", "token=x"))).status == 403


async def test_a_run_that_nobody_looks_at_ends_at_once(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with live_page(load(None, {}), tmp_path, Report("replay")) as url:
        assert url.startswith("http://127.0.0.1:")
        assert asyncio.all_tasks() == before


def test_a_run_loads_no_template_and_no_view() -> None:
    code = "import sys, wiretape.cli.main, wiretape.run.run, wiretape.ui.live; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert "wiretape.ui.live" in loaded
    assert not {"jinja2", "wiretape.ui.server", "wiretape.ui.page"} & loaded
