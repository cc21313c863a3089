"""What the page shows of two recordings."""

from pathlib import Path

from tests.support.page_recordings import recording, write

from wiretape.config.load import load
from wiretape.core.redaction.redactor import Redactor
from wiretape.maintenance.loading import compare_recordings, load_named
from wiretape.ui.diff_view import DiffView, diff_view


def views(folder: Path, a: list[str], b: list[str]) -> DiffView:
    config = load(None, {})
    for name, words in (("a.json", a), ("b.json", b)):
        write(folder, name, recording(words, temperature=1))
    first, second = (load_named(folder, name)[1] for name in ("a.json", "b.json"))
    result = compare_recordings(first, second, config.matcher, Redactor(config.redaction))
    return diff_view(("a.json", first), ("b.json", second), result)


def test_answers_differ_by_word(tmp_path: Path) -> None:
    seen = views(tmp_path, ["It is ", "warm"], ["It is ", "cold"])
    (difference,) = seen.answer
    assert difference.path == "answer.text"
    assert [(run.kind, run.text) for run in difference.runs] == [
        *(("same", "It is "), ("removed", "warm"), ("added", "cold"))
    ]
    assert not seen.equal


def test_both_timelines_have_one_scale(tmp_path: Path) -> None:
    seen = views(tmp_path, ["a"], ["a", "b", "c"])
    assert [line.end for line in seen.timelines] == [0.3, 0.5]
    assert max(seen.timelines[0].dots) == 600
    assert ("chunks", 2, 4) in seen.facts


def test_equal_recordings_are_equal(tmp_path: Path) -> None:
    assert views(tmp_path, ["a", "b"], ["ab"]).equal
