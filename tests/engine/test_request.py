"""A live request: its forms are made once, when they are needed, and its sequence is its own."""

from dataclasses import replace
from pathlib import Path

from tests.support.asked_folder import HttpFolder

from wiretape.core.recording.given_ids import IdSource
from wiretape.engine.request import LateForms, ReplayRequest, RequestForms


def test_forms_are_made_when_they_are_needed_and_once() -> None:
    made: list[int] = []

    def make() -> RequestForms:
        made.append(1)
        return RequestForms({"method": "GET"}, ())

    forms = LateForms(make)
    assert made == []
    assert forms() is forms()
    assert made == [1]


def request(tmp_path: Path, host: str = "llm.example.org") -> ReplayRequest:
    folder = HttpFolder(tmp_path / "r")
    folder.record({"prompt": "hi"}, "hello")
    return folder.replayer().prepare(replace(folder.request({"prompt": "hi"}), host=host))


def test_a_provider_is_named_or_else_the_host(tmp_path: Path) -> None:
    known, unknown = request(tmp_path), request(tmp_path, "other.example")
    assert (known.provider, known.shape) == ("example", "openai")
    assert unknown.provider == "other.example"


def test_the_takes_are_those_of_its_keys(tmp_path: Path) -> None:
    assert [take.name for take in request(tmp_path).takes] == ["llm.example.org/0.json"]
    assert replace(request(tmp_path), keys=("0" * 64,)).takes == ()


def test_ids_that_an_answer_created_make_a_sequence_of_their_own(tmp_path: Path) -> None:
    plain = request(tmp_path)
    polled = replace(plain, id_sources={"batch_1": IdSource("3f2a#0", created=True)})
    named = replace(plain, id_sources={"file_1": IdSource("3f2a#0", created=False)})
    assert plain.sequence_key == named.sequence_key
    assert polled.sequence_key != plain.sequence_key
    other = replace(plain, id_sources={"batch_2": IdSource("3f2b#0", created=True)})
    assert other.sequence_key != polled.sequence_key
