"""The page in a real Chromium: safe, reachable by keyboard, readable without scripts."""

import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from playwright.sync_api import Page as Tab
from tests.support import npm, page_site, paths
from tests.support.limits import PATIENCE
from tests.support.page_site import ATTACKS, FOLDER, STREAM, TAKE

from wiretape.report.report import Row
from wiretape.ui.page import one_file, write_page
from wiretape.ui.run_view import run_view
from wiretape.ui.server import Page

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
VIEWS: Final = (
    "/",
    "/?q=pool&state=redacted",
    f"/recording?name={STREAM}",
    f"/diff?name={STREAM}&name={TAKE}",
    "/run",
    "/maintenance?verify=1",
    "/recording?name=no.json",
)


UNSETTLED: Final = ".htmx-request, .htmx-swapping, .htmx-settling"
"""What htmx marks while something is being replaced."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Site:
    """The page as it is served, and what a browser complained of."""

    page: Page
    browser: Browser
    url: str
    complaints: list[str] = field(default_factory=list)

    @property
    def base(self) -> str:
        return self.url.partition("/?")[0]

    @contextmanager
    def tab(self, **options: Any) -> Iterator[Tab]:
        """A tab of a new profile that has opened the page by its URL."""
        context = self.browser.new_context(**options)
        context.set_default_timeout(PATIENCE * 1000)
        self.watch(context)
        tab = context.new_page()
        tab.goto(self.url)
        yield tab
        context.close()
        assert self.complaints == []

    def watch(self, context: BrowserContext) -> None:
        def complain(text: str) -> None:
            # The browser says so of each answer that is not 200.
            if "status of 4" not in text:
                self.complaints.append(text)

        context.on("weberror", lambda error: complain(str(error.error)))
        context.on("console", lambda message: complain(message.text))
        context.on("dialog", lambda dialog: complain(dialog.message))


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site") / "recordings"
    page_site.fill(folder)
    page = page_site.page_of(folder)
    page.report = page_site.report()
    with page_site.served(page) as url:
        yield Site(page, browser, url)


def test_nothing_of_a_recording_runs_or_loads_anything(site: Site) -> None:
    names = [f"{FOLDER}/{attack.replace('/', '_')}.json" for attack in ATTACKS]
    recordings = [f"/recording?name={quote(name)}" for name in names]
    pairs = [f"/diff?name={quote(name)}&name={STREAM}" for name in names[:2]]
    filters = [f"/?q={quote(attack)}&model={quote(attack)}" for attack in ATTACKS[:2]]
    with site.tab() as tab:
        hosts: set[str] = set()
        tab.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        for path in (*VIEWS, *recordings, *pairs, *filters):
            tab.goto(site.base + path)
            assert tab.evaluate("window.hit") is None, path
            assert tab.locator("header").is_visible(), path
        assert hosts == {site.base.removeprefix("http://")}


def test_what_assistive_technology_needs_is_there(site: Site) -> None:
    folder = npm.packages(paths.ROOT / "tests" / "ui" / "node")
    axe = (folder / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    for scheme in ("light", "dark"):
        with site.tab(color_scheme=scheme) as tab:
            for path in VIEWS if scheme == "light" else VIEWS[::3]:
                tab.goto(site.base + path)
                tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
                tab.evaluate(axe)
                # What is dark differs in its colours only.
                rules = "{}" if scheme == "light" else "{runOnly: ['color-contrast']}"
                result = tab.evaluate(f"axe.run({rules})")
                serious = [
                    f"{path} {scheme}: {fault['id']}: {node['html']}"
                    for fault in result["violations"]
                    if fault["impact"] in ("serious", "critical")
                    for node in fault["nodes"]
                ]
                assert serious == []
                assert len(result["passes"]) > (10 if scheme == "light" else 0)


def test_a_narrow_window_needs_no_scrolling_to_the_side(site: Site) -> None:
    with site.tab(viewport={"width": 360, "height": 700}) as tab:
        for path in VIEWS:
            tab.goto(site.base + path)
            width = tab.evaluate("document.scrollingElement.scrollWidth")
            assert width <= 360, path


def test_without_scripts_lists_filters_and_recordings_are_readable(site: Site) -> None:
    with site.tab(java_script_enabled=False) as tab:
        tab.fill("#q", "tide pool")
        tab.click("text=filter")
        assert "q=tide+pool" in tab.url
        tab.locator("[data-row]").first.click()
        assert "As the tide goes out" in tab.inner_text("main")
        assert tab.locator("svg.curve").is_visible()
        tab.click("#events > summary")
        tab.locator(".raw summary").first.click()
        assert "data: {" in tab.locator(".raw pre").first.inner_text()
        assert not tab.locator("[data-theme-switch]").is_visible()


def test_the_keyboard_reaches_everything(site: Site) -> None:
    with site.tab() as tab:
        tab.keyboard.press("/")
        tab.keyboard.type("pool")
        tab.wait_for_url("**/?q=pool&**")
        expect(tab.locator(UNSETTLED)).to_have_count(0, timeout=PATIENCE * 1000)
        assert tab.locator("[data-row]").count() == 2
        tab.keyboard.press("Escape")
        tab.keyboard.press("j")
        tab.keyboard.press("m")
        tab.keyboard.press("j")
        tab.keyboard.press("m")
        tab.keyboard.press("d")
        tab.wait_for_url("**/diff?**")
        assert "cold" in tab.inner_text("main")
        tab.keyboard.press("Escape")
        tab.wait_for_url("**/?q=pool&**")
        expect(tab.locator(UNSETTLED)).to_have_count(0, timeout=PATIENCE * 1000)
        tab.keyboard.press("j")
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/recording?**")
        first = tab.url
        tab.keyboard.press("]" if first.endswith("aa00.json") else "[")
        tab.wait_for_url(lambda url: "/recording?" in url and url != first)
        tab.keyboard.press("r")
        assert tab.locator("#events").get_attribute("open") is not None
        tab.keyboard.press("?")
        assert tab.locator("#keys").is_visible()


def test_the_timeline_and_the_words_point_at_each_other(site: Site) -> None:
    with site.tab() as tab:
        tab.goto(f"{site.base}/recording?name={STREAM}")
        box = tab.locator(".u-over").bounding_box()
        assert box is not None
        tab.mouse.move(box["x"] + box["width"] - 2, box["y"] + 20)
        assert tab.inner_text(".words .on") in ("back. ", "back.", "")
        tab.locator(".words span", has_text="tide ").hover()
        assert tab.inner_text(".words .on").strip() == "tide"
        assert tab.locator(".part img").evaluate("image => image.naturalWidth") == 1
        assert tab.inner_text("mark.redacted >> nth=0") == "redacted: openai-key"


def test_a_run_is_followed_without_loading_the_page_again(site: Site) -> None:
    report = site.page.report
    assert report is not None
    with site.tab() as tab:
        tab.goto(f"{site.base}/run")
        tab.evaluate("window.mine = 1")
        report.add(Row("recorded", "openai", "POST", "/v1/just-now", status=200))
        tab.locator("td", has_text="/v1/just-now").wait_for(state="attached")
        assert tab.evaluate("window.mine") == 1


class _Elsewhere(http.server.BaseHTTPRequestHandler):
    html = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(self.html)

    def log_message(self, *_: object) -> None:
        pass


def test_a_page_of_another_port_gets_nothing_though_the_browser_has_the_cookie(site: Site) -> None:
    with site.tab() as tab:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
        _Elsewhere.html = (
            f"<iframe src='{site.base}/'></iframe><a href='{site.base}/'>go</a>".encode()
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            answers: list[tuple[str, int]] = []
            tab.context.on("response", lambda answer: answers.append((answer.url, answer.status)))
            tab.goto(f"http://127.0.0.1:{server.server_port}/")
            tab.evaluate(
                f"fetch('{site.base}/', {{mode: 'no-cors', credentials: 'include'}}).catch(() => 0)"
            )
            tab.click("a")
            tab.wait_for_url(f"{site.base}/")
            assert "another origin" in tab.inner_text("main")
            statuses = [status for url, status in answers if url == f"{site.base}/"]
            assert len(statuses) >= 2  # the frame and the link; of fetch no answer is told
            assert set(statuses) == {403}
            assert all("pool" not in frame.content() for frame in tab.frames)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            site.complaints.clear()  # the frame was refused


def test_one_file_needs_nothing_else(site: Site, tmp_path: Path) -> None:
    report = site.page.report
    assert report is not None
    write_page(
        tmp_path / "run.html", one_file("run.html", folder="", view="run", run=_view(report))
    )
    context = site.browser.new_context()
    site.watch(context)
    tab = context.new_page()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((tmp_path / "run.html").as_uri())
    assert "7 missed" in tab.inner_text("main")
    assert tab.evaluate("window.hit") is None
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    context.close()
    assert site.complaints == []


def _view(report: Any) -> Any:
    return run_view(report.as_json())
