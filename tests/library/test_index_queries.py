"""What an index is asked: who answers, in which order, and what is known of it."""

from tests.support.index_facts import CHAT, KEY, OTHER, facts

from wiretape.core.recording.given_ids import AnswerId
from wiretape.library.index import Index
from wiretape.library.recording_file import MatchKind


def names(index: Index, key: str = KEY) -> list[str]:
    return [row.name for row in index.takes(key)]


def test_takes_come_nearest_first_then_by_number_then_by_name(index: Index) -> None:
    index.put(
        [
            facts("llama.json", MatchKind.LLAMA_STACK),
            facts("h/spelled.json", MatchKind.WITH_IDS),
            facts("h/b.10.json", take=10),
            facts("h/b.2.json", take=2),
            facts("h/b.json"),
            facts("h/a.json"),
            facts("h/other.json", key=OTHER),
        ]
    )
    assert names(index) == [
        "h/a.json",
        "h/b.json",
        "h/b.2.json",
        "h/b.10.json",
        "h/spelled.json",
        "llama.json",
    ]
    assert (index.count(), len(index.sketches(CHAT))) == (7, 7)


def test_ids_and_sketches_are_kept(index: Index) -> None:
    index.put([facts("h/a.json"), facts("h/b.json")])
    assert index.ids("h/b.json") == (AnswerId("id-h/b.json"),)
    for near, far in (("h/a.json", "h/b.json"), ("h/b.json", "h/a.json")):
        assert index.names_of(index.sketches(CHAT).nearest(near.encode(), 9)) == [near, far]
