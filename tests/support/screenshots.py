"""Take the screenshots of docs/ui: `make screenshots`, with a chromium on PATH."""

import os
import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import sync_playwright
from tests.support import paths
from tests.support.page_recordings import recording, write
from tests.support.page_site import ANSWER, QUESTION, STREAM, TAKE, example, page_of, served

from wiretape.core.matching.canonical import Difference
from wiretape.core.matching.miss import Miss
from wiretape.report.report import Report, Row
from wiretape.ui.server import Page

SIZE: Final = {"width": 1120, "height": 680}
VIEWS: Final[dict[str, tuple[str, str]]] = {
    "library": ("/", "light"),
    "recording": (f"/recording?name={STREAM}", "light"),
    "diff": (f"/diff?name={STREAM}&name={TAKE}", "light"),
    "run": ("/run", "dark"),
    "maintenance": ("/maintenance", "light"),
}
"""The views by the names of their files, each with its path and colours."""

_PROMPTS: Final = (
    "Summarise the change log in three points",
    "Which tide tables cover Brittany?",
    "Write a limerick about a limpet",
    "Translate 'low water' into Breton",
    "Plan a walk along the shore at low tide",
    "List what lives in the splash zone",
    "Explain spring and neap tides to a child",
)
_MODELS: Final = ("gpt-4.1-mini", "o4-mini", "gpt-4.1")


def _fill(folder: Path) -> None:
    first, again = example(), example()
    for take in (first, again):
        take["request"]["body"]["model"] = "gpt-4.1"
    write(folder, STREAM, first)
    again["recorded_at"] = (datetime.now(UTC) - timedelta(days=9)).isoformat(timespec="seconds")
    again["request"]["body"]["temperature"] = 0.2
    items = [item for item in again["response"]["body"] if "cut" not in str(item)]
    again["response"]["body"] = [{**item, "at": round(item["at"] * 0.8, 3)} for item in items]
    write(folder, TAKE, again)
    for number, prompt in enumerate(_PROMPTS):
        words = ANSWER.split()[: 9 + number * 4]
        document: dict[str, Any] = recording([f"{word} " for word in words], prompt)
        document["request"]["body"]["model"] = _MODELS[number % 3]
        at = 0.2 + number / 20
        for chunk, item in enumerate(document["response"]["body"]):
            at += 0.02 + 0.04 * ((chunk * (number + 3)) % 4)
            item["at"] = round(at, 3)
        document["response"]["end_at"] = round(at, 3)
        recorded = datetime.now(UTC) - timedelta(days=number * 17)
        document["recorded_at"] = recorded.isoformat(timespec="seconds").replace("+00:00", "Z")
        session = "shore/" if number % 2 else ""
        write(folder, f"{session}{STREAM.rpartition('/')[0]}/c{number}c0ffee.json", document)
    (folder / "merge.json").write_text("<<<<<<< HEAD\n{")


def _report() -> Report:
    run = Report("replay")
    times = (0.2, 0.31, 0.18, 0.44, 0.25, 0.9, 0.2, 0.22)
    for number, first in enumerate(times):
        name = f"{STREAM.rpartition('/')[0]}/c{number % 7}c0ffee.json"
        facts: dict[str, Any] = {"first_chunk": first, "duration": 3 * first, "recording": name}
        run.add(Row("replayed", "openai", "POST", "/v1/chat/completions", _MODELS[0], **facts))
        if number == 5:
            miss = Miss(
                "POST",
                "https://api.openai.com/v1/chat/completions",
                "differs",
                nearest=STREAM,
                differences=(
                    Difference("body.temperature", 0.7, 0.2),
                    Difference(
                        "body.messages[3].content[0].text",
                        QUESTION.replace("one day", "a year"),
                        QUESTION,
                    ),
                ),
                withheld="it would hide what was asked (body.messages[3].content[0].text)",
            )
            run.add(Row("missed", "openai", "POST", "/v1/chat/completions", _MODELS[0], miss=miss))
    return run


def photograph(target: Path, page: Page) -> None:
    """Write a picture of each view to a folder."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("no chromium on PATH: apt-get install chromium")
    with served(page) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (path, scheme) in VIEWS.items():
            context = browser.new_context(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
            tab = context.new_page()
            tab.goto(url)
            tab.goto(url.partition("/?")[0] + path)
            tab.wait_for_load_state("networkidle" if page.report is None else "load")
            tab.screenshot(path=target / f"{name}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        folder = Path("recordings")
        _fill(folder)
        page = page_of(folder)
        page.document = _report().as_json()
        docs = paths.ROOT / "docs" / "ui"
        docs.mkdir(exist_ok=True)
        photograph(docs, page)
