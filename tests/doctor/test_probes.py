"""Each probe asks for what only it asks for, and its recording answers that."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from wiretape.config.packs import built_in
from wiretape.core.matching.matcher import Matcher
from wiretape.core.model import Request
from wiretape.core.recording.document import from_request
from wiretape.doctor.probes import HOST, PROBES, SOURCES, answer, recordings
from wiretape.library.library import Library


def test_every_probe_has_a_url_of_its_own_on_a_host_that_no_resolver_knows() -> None:
    urls = [urlsplit(probe.url) for probe in PROBES]
    assert {url.scheme for url in urls} == {"https"}
    assert {url.hostname for url in urls} == {HOST}
    assert HOST.endswith(".invalid")
    assert len({url.path for url in urls}) == len(PROBES)


def test_a_command_names_the_program_and_the_url_and_leaves_nothing_to_fill_in() -> None:
    for probe in PROBES:
        program, *words = probe.command(Path("/tmp/x"))
        assert program == probe.program
        assert probe.url in words
        assert [word for word in words if "{url}" in word or "{folder}" in word] == []


def test_the_sources_that_commands_name_are_there() -> None:
    named = {
        Path(word).name
        for probe in PROBES
        for word in probe.command(Path("/folder"))
        if word.startswith("/folder/")
    }
    assert named == set(SOURCES)


def test_every_probe_has_a_way_out_in_words() -> None:
    assert [probe.name for probe in PROBES if not (probe.advice and probe.trust)] == []


def test_the_recordings_answer_the_probes_and_nothing_else(tmp_path: Path) -> None:
    for name, text in recordings():
        (tmp_path / name).write_text(text)
    library = Library(tmp_path, Matcher(built_in()))
    library.load()
    assert (len(library), library.faults) == (len(PROBES), [])
    for probe in PROBES:
        request = from_request(Request("GET", "https", HOST, 443, probe.path))
        (entry,) = library.takes(library.canonical(request).key)
        assert library.read(entry.name).response.body == answer(probe).encode()
    assert len({json.dumps(answer(probe)) for probe in PROBES}) == len(PROBES)
