"""A request that is known by its bytes is answered as if it had been read: the long way beside the
short one is its truth. Over requests, rules, sessions, takes, ids by origin, and secrets in every
encoding that redaction reads.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from tests.support.limits import examples, part_of
from tests.support.request_stories import (
    ENCODINGS,
    KEYS,
    RAW,
    STYLES,
    TAKES,
    Call,
    Story,
    change_recording,
    config_of,
    stories,
    write,
)

from wiretape.config.load import Config
from wiretape.core.model import Request
from wiretape.core.redaction.redactor import Redactor
from wiretape.engine.replayer import Replayer
from wiretape.engine.request import ReplayRequest
from wiretape.library.library import Library, LocalState
from wiretape.report.report import Report
from wiretape.sessions.sessions import Session, Sessions


class LongWay(Replayer):
    """Reads every request."""

    def prepare(self, live: Request, session: Session | None = None) -> ReplayRequest:
        return self.reader.examine(live, session or self.sessions.own)


def replayer_of(kind: type[Replayer], config: Config, folder: Path) -> tuple[Replayer, Redactor]:
    redactor = Redactor(config.redaction, remember=True)

    def opened(session: str | None) -> Library:
        state = LocalState(folder)
        library = Library(folder / "recordings", config.matcher, redactor.request, session, state)
        library.load()
        return library

    report = Report("replay", strict_ignored=True)
    return kind(Sessions(opened), config.matcher, redactor, config.providers, report), redactor


def told(
    replayer: Replayer, redactor: Redactor, call: Call, key: str, name: str | None
) -> tuple[Any, bool]:
    """All that an answer says of a request and changes for later ones; and whether the request was
    known by its bytes.
    """
    session = replayer.sessions.get(name)
    request = replayer.with_current_ids(replayer.prepare(call.request(key), session), session)
    answer = replayer.answer(request)
    # How a miss is worded depends on which recordings were compared before.
    outcome = answer and (
        *(answer.entry.name, answer.response, answer.take, answer.beyond, answer.stale),
    )
    who = (request.provider, request.shape)
    shown = (request.url, request.path, request.model, request.exact_key, who)
    sequence = (request.keys, request.request_ids, request.sequence_key, request.id_sources)
    changed = (replayer.report.applied, replayer.report.beyond, replayer.report.notices)
    state = (set(redactor.remembered), session.used)
    return (outcome, shown, sequence, changed, state), request.digest is not None


def check(story: Story) -> int:
    """Ask a story both ways, and compare; how many requests went the short way."""
    short = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = config_of(has_rule=story.has_rule)
        write(story, folder, config)
        replayers = [replayer_of(kind, config, folder) for kind in (LongWay, Replayer)]
        for call, key, session in story.asked:
            (long_way, _), (short_way, is_short) = (
                told(*pair, call, key, session) for pair in replayers
            )
            assert short_way == long_way
            short += is_short
    return short


@example(story=TAKES)
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])
@given(story=stories())
def test_the_short_way_and_the_long_way_agree(story: Story) -> None:
    check(story)


def test_what_was_recorded_goes_the_short_way() -> None:
    assert check(TAKES) >= 4


@pytest.mark.parametrize(("number", "key"), [*enumerate(KEYS)])
def test_a_key_in_a_prompt_is_found_in_every_encoding(number: int, key: str) -> None:
    # It was no secret when it was recorded, and is the live client's credential.
    products = [(encoding, style) for encoding in ENCODINGS for style in STYLES]
    calls = [
        Call(key=key, encoding=encoding, style=style)
        for encoding, style in part_of(products, number)
    ]
    recorded = tuple((call, "other-Xk28QmZ9w", None) for call in calls)
    asked = tuple((call, live, None) for live in dict.fromkeys([key, KEYS[0]]) for call in calls)
    check(Story(recorded, asked))


@pytest.mark.parametrize("raw", RAW)
def test_a_body_that_is_not_read_as_it_is_written_is_read(raw: bytes) -> None:
    call = Call(raw=raw)
    check(Story(((call, KEYS[3], None),), ((call, KEYS[0], None), (call, KEYS[3], None))))


def test_a_header_that_is_recorded_counts() -> None:
    plain, beta = Call(), Call(beta="a")
    other = Call(accept="text/event-stream")
    asked = tuple((call, KEYS[0], None) for call in (beta, other, plain))
    assert check(Story(((plain, KEYS[0], None), (beta, KEYS[0], None)), asked)) >= 2


def test_rules_changed_since_the_recording_count(tmp_path: Path) -> None:
    story = Story(((Call(run=0), KEYS[0], None),), ())
    key = {}
    for has_rule in (True, False):
        config = config_of(has_rule=has_rule)
        write(story, tmp_path, config)
        for kind in (Replayer, LongWay):
            replayer, _ = replayer_of(kind, config, tmp_path)
            prepared = replayer.prepare(Call(run=0).request(KEYS[0]))
            key[has_rule, kind] = prepared.keys
            assert (prepared.digest is not None) is (kind is Replayer)
    assert key[True, Replayer] == key[True, LongWay] != key[False, LongWay]
    assert key[False, Replayer] == key[False, LongWay]


@pytest.mark.parametrize("is_prepared_before", [True, False])
@pytest.mark.parametrize("change", ["edited", "replaced", "removed", "added"])
def test_recordings_that_change_while_they_are_asked(
    tmp_path: Path, change: str, is_prepared_before: bool
) -> None:
    story = Story(((Call(), KEYS[0], None),), ())
    config = config_of(has_rule=False)
    write(story, tmp_path, config)
    (file,) = (tmp_path / "recordings").rglob("*.json")
    os.utime(file, (0, 0))  # one that has just changed is looked at again
    pairs = [replayer_of(kind, config, tmp_path) for kind in (LongWay, Replayer)]
    live = Call().request(KEYS[0])
    prepared = [replayer.prepare(live) for replayer, _ in pairs if is_prepared_before]
    change_recording(file, change)
    bodies = []
    if not is_prepared_before:
        for replayer, _ in pairs:  # nothing was read yet, so there is nothing to trust
            replayer.sessions.own.library.cache_for(3600)
        prepared = [replayer.prepare(live) for replayer, _ in pairs]
    for (replayer, _), request in zip(pairs, prepared, strict=True):
        answers = [replayer.answer(request) for _ in range(2)]
        bodies.append([answer and answer.response.body for answer in answers])
    assert bodies[0] == bodies[1]
    if change == "edited":
        assert all(body and b"answer X" in body for body in bodies[1])
    elif change != "added":  # that is noticed at the next look at the folder
        assert bodies[1] == [None, None]
