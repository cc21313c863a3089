"""What may stay, and why: entries of a baseline against hits."""

import re

import pytest
from tests.support import paths
from tests.support.findings import allowed, hit

from wiretape.core.errors import ConfigError
from wiretape.scanning.baseline import Allowed, dumps, read, sort

HIT = hit("recordings/a.json", 12, "openai-key", "request.body.k", "sk-Ab…(51 characters)")
ENTRY = allowed("recordings/*", "openai-key", None, None, "revoked", 3)


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read("b.yaml", text.encode())
    return list(caught.value.faults)


def test_an_entry_is_read_with_its_line() -> None:
    text = "version: 1\nallow:\n- {file: recordings/*, rule: openai-key, reason: revoked}\n"
    assert read("b.yaml", text.encode()) == (ENTRY,)


def test_an_empty_file_allows_nothing() -> None:
    assert read("b.yaml", b"") == ()


@pytest.mark.parametrize("reason", ["", "reason: ''", "reason: ' '", "reason:"])
def test_an_entry_without_a_reason_is_a_fault(reason: str) -> None:
    text = f"version: 1\nallow:\n- file: a\n  rule: r\n  {reason}\n"
    assert faults(text) == ["b.yaml:3: allow[0]: reason is missing: say why this may stay"]


def test_all_faults_are_told_with_their_lines() -> None:
    text = (
        "version: 2\nallow:\n- {file: a, rule: r, reason: x, why: y}\n- {rule: r, reason: x}\n- 5\n"
    )
    assert faults(text) == [
        "b.yaml:1: version: expected the baseline's version 1",
        "b.yaml:3: allow[0]: why: unknown key, expected one of file, rule, where, masked, reason",
        "b.yaml:4: allow[1]: file is missing",
        "b.yaml:5: allow[2]: expected an entry with file, rule, reason",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- a", "b.yaml:1: expected a mapping with version and allow"),
        ("version: 1\nallow: 5", "b.yaml:2: allow: expected a list of entries"),
        (
            "version: 1\nallow: []\nother: 1",
            "b.yaml:3: other: unknown key, expected version or allow",
        ),
        (
            "version: 1\nallow: [{file: 1, rule: r, reason: x}]",
            "b.yaml:2: allow[0]: file: expected text; put it in quotes",
        ),
    ],
)
def test_what_is_no_baseline_is_a_fault(text: str, fault: str) -> None:
    assert faults(text) == [fault]


def test_text_that_is_no_yaml_is_a_fault() -> None:
    (fault,) = faults("version: [")
    assert fault.startswith("b.yaml:1:11: not YAML: ")


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY,
        allowed("recordings/a.json", "openai-key", None, None, "x", 1),
        allowed("*.json", "openai-key", "request.body.k", "sk-Ab…(51 characters)", "x", 1),
    ],
)
def test_an_entry_covers_a_hit_that_is_as_it_says(entry: Allowed) -> None:
    assert entry.covers(HIT)


@pytest.mark.parametrize(
    "entry",
    [
        allowed("other/*", "openai-key", None, None, "x", 1),
        allowed("*", "together-key", None, None, "x", 1),
        allowed("*", "openai-key", "request.body.other", None, "x", 1),
        allowed("*", "openai-key", None, "sk-Ab…(52 characters)", "x", 1),
    ],
)
def test_an_entry_does_not_cover_another_hit(entry: Allowed) -> None:
    assert not entry.covers(HIT)


def test_hits_are_sorted_into_left_and_passed() -> None:
    other = hit("recordings/a.json", 1, "jwt", "", "eyJ…")
    result = sort([other, HIT], [ENTRY], ["recordings/a.json"])
    assert result.left == (other,)
    assert result.passed == ((HIT, "revoked"),)
    assert result.unused == ()


def test_an_entry_that_covers_nothing_in_its_files_is_unused() -> None:
    assert sort([], [ENTRY], ["recordings/a.json"]).unused == (ENTRY,)


def test_an_entry_of_files_that_were_not_scanned_is_not_unused() -> None:
    assert sort([], [ENTRY], ["elsewhere/a.json"]).unused == ()


def test_a_written_baseline_covers_the_hits_once_reasons_are_given() -> None:
    odd = hit("recordings/[a]*?.json", 1, "openai-key", "x: 'y'", "…")
    text = dumps([HIT, odd, HIT], [])
    assert len(faults(text)) == 2
    entries = read("b.yaml", text.replace("reason: ''", "reason: because").encode())
    assert sort([HIT, odd], entries, []).left == ()
    assert not entries[1].covers(hit("recordings/ab.json", 1, "openai-key", "x: 'y'", "…"))


@pytest.mark.parametrize(
    "text", ["1e3", "0o17", "08", "12:30", "on", "2026-11-20", ".5", "~", "é: x", "!x"]
)
def test_a_text_that_yaml_takes_for_something_else_is_written_in_quotes(text: str) -> None:
    odd = hit(text, 1, text, text, text)
    (entry,) = read("b.yaml", dumps([odd], []).replace("reason: ''", "reason: because").encode())
    assert entry.covers(odd)


def test_names_and_places_that_are_not_unicode_are_written_so_that_they_are_covered() -> None:
    odd = hit("a\udcff.json", 1, "jwt", "b\udcff", "eyJ…")
    text = dumps([odd], []).replace("reason: ''", "reason: because")
    (entry,) = read("b.yaml", text.encode())
    assert (entry.file, entry.where) == ("a?.json", None)
    assert entry.covers(odd)


def test_a_baseline_written_anew_keeps_the_reasons_and_drops_what_is_not_needed() -> None:
    unneeded = allowed("gone/*", "jwt", None, None, "x", 9)
    text = dumps([HIT], [ENTRY, unneeded])
    assert read("b.yaml", text.encode()) == (
        allowed("recordings/*", "openai-key", None, None, "revoked", 5),
    )


def test_a_baseline_without_reasons_can_be_read_to_be_written_anew() -> None:
    text = dumps([HIT], [])
    (entry,) = read("b.yaml", text.encode(), reasons=False)
    assert entry.covers(HIT)


def test_the_baseline_in_the_documentation_is_one() -> None:
    page = paths.ROOT / "docs" / "secrets.md"
    (text,) = re.findall(r"```yaml baseline\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    (entry,) = read("secrets.md", text.encode())
    assert entry.is_of("recordings/old/a/b.json")
