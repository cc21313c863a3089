"""Pages as they are rendered, and what comes with them."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from tests.support import paths
from tests.support.page_recordings import KEY, loaded, recording
from tests.support.screenshots import VIEWS

from wiretape.core.errors import WiretapeError
from wiretape.ui import page
from wiretape.ui.page import STATIC, environment, one_file, render, seconds, write_page
from wiretape.ui.recording_view import recording_view

VENDORED = {
    # htmx 2.0.11
    "htmx.min.js": (52_182, "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"),
    "htmx.LICENSE.txt": (642, "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38"),
    # uPlot 1.6.32
    "uPlot.min.js": (51_081, "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"),
    "uPlot.min.css": (1_857, "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04"),
    "uPlot.LICENSE.txt": (
        1_078,
        "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    ),
}


def test_what_comes_with_the_page_is_what_its_makers_published() -> None:
    files = {path.name: path.read_bytes() for path in (STATIC / "vendored").iterdir()}
    assert {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()
    } == VENDORED


def whole(folder: Path, words: str = "Hi", prompt: str = "Say it") -> str:
    view = recording_view("a.json", "a.json", loaded(folder, recording([words], prompt)))
    return one_file(
        "recording.html", folder="", view="recording", recording=view, takes=(), used_by=()
    )


def test_one_file_runs_and_loads_nothing_but_what_its_policy_names(tmp_path: Path) -> None:
    text = whole(tmp_path)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    allowed = set(re.findall(r"sha256-([\w+/=]+)", policy[1]))
    blocks = re.findall(r"<(?:script|style)>(.*?)</(?:script|style)>", text, re.DOTALL)
    digests = {base64.b64encode(hashlib.sha256(b.encode()).digest()).decode() for b in blocks}
    assert digests == allowed
    assert len(blocks) == 4
    assert policy[1].startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert re.findall(r"<(?:script|link|img|iframe)[^>]* (?:src|href)=[^>]*>", text) == [
        '<link rel="icon" href="data:,">'
    ]
    assert not re.search(r"<[^>]* (?:on\w+|style)=", text)


def test_nothing_of_a_recording_is_html(tmp_path: Path) -> None:
    attack = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    text = whole(tmp_path, attack, attack)
    assert attack not in text
    assert "<img" not in text
    assert text.count("<script") == 3  # ours, and the timeline's numbers


def test_a_redacted_value_is_a_chip_that_names_its_rule(tmp_path: Path) -> None:
    assert f'title="{KEY}">redacted: openai-key</mark>' in whole(tmp_path, prompt=f"use {KEY}")


def test_templates_escape_always() -> None:
    assert environment().autoescape is True
    assert environment().from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    for name in environment().list_templates():
        source = Path(page.__file__).with_name("templates").joinpath(name).read_text()
        assert not re.search(r"\|\s*safe|autoescape|\bon\w+=|\bstyle=", source), name


def test_a_served_page_holds_no_script_and_no_style(tmp_path: Path) -> None:
    view = recording_view("a.json", "a.json", loaded(tmp_path, recording(["Hi"])))
    text = render(
        "recording.html", folder="r", view="recording", recording=view, takes=["a.json"], used_by=()
    )
    assert "<style" not in text
    scripts = re.findall(r"<script[^>]*>", text)
    assert [s for s in scripts if "src=" not in s] == ['<script type="application/json">']
    assert not re.search(r"https?://", re.sub(r"https://api\.openai\.com\S*", "", text))


def test_a_page_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(WiretapeError, match="cannot be written"):
        write_page(tmp_path / "no" / "a.html", "x")


def test_the_docs_show_each_view() -> None:
    text = (paths.ROOT / "docs" / "ui.md").read_text(encoding="utf-8")
    for view in VIEWS:
        assert (paths.ROOT / "docs" / "ui" / f"{view}.png").stat().st_size > 10_000
        assert f"(ui/{view}.png)" in text
    readme = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    assert len(re.findall(r"\(docs/ui/\w+\.png\)", readme)) == 2


def test_times_are_readable() -> None:
    assert [seconds(value) for value in (None, 0.1824, 1.2)] == ["-", "182 ms", "1.20 s"]
