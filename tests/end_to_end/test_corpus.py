"""Recall and precision of redaction over the labelled corpus, from the wire to the file.

Every exchange goes the way of a recorded one: recorder, document, redaction, gate, file, names, row
and miss report. What may be written is then searched by `corpus_stands.stands`, which knows nothing
of how redaction looks for secrets.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import pytest
from tests.support.corpus import Positive, positives
from tests.support.corpus_negatives import Negative, negatives
from tests.support.corpus_stands import stands
from tests.support.corpus_streams import streams

from wiretape.config.packs import built_in
from wiretape.core.capture.recorder import Recorder
from wiretape.core.matching.matcher import Matcher
from wiretape.core.matching.miss import FolderState, miss_for
from wiretape.core.matching.placeholders import ANY
from wiretape.core.matching.rule_trial import RuleTrial
from wiretape.core.model import Exchange
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, from_exchange, from_request, to_exchange
from wiretape.core.redaction.clean_parts import CleanParts
from wiretape.core.redaction.gate import inspect, inspect_bytes, unsearchable
from wiretape.core.redaction.placeholder import PLACEHOLDER
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.redaction.rules import RedactionRules
from wiretape.core.wire.content_coding import plain_request
from wiretape.library.folder_names import endpoint_slug, host_folder
from wiretape.report.report import Row

RECALL: Final = 1.0
PRECISION: Final = 0.999

providers = built_in()
matcher = Matcher(providers)


def recorded(exchange: Exchange) -> Exchange:
    """What a recorder makes of an exchange that comes chunk by chunk."""
    recorder = Recorder(exchange.request)
    recorder.start(exchange.response.status, exchange.response.headers, 0.0)
    for chunk in exchange.response.chunks:
        recorder.read(chunk.data, chunk.at or 0.0)
    ended = recorder.finish("ended", 1.0)
    return replace(ended, request=plain_request(exchange.request))


@dataclass
class Kept:
    """What became of a positive: what is left of it, and what is wrong with that."""

    positive: Positive
    refused: bool = False
    leaks: list[str] = field(default_factory=list)
    """Where the secret still stands."""
    faults: list[str] = field(default_factory=list)
    """What does not replay as it should."""


def keep(positive: Positive) -> Kept:
    kept = Kept(positive)
    redactor = Redactor(RedactionRules(values=positive.source.environment))
    secrets = redactor.secrets(positive.exchange.request)
    exchange = recorded(positive.exchange)
    clean = CleanParts()
    document, findings = redactor.document(from_exchange(exchange), secrets, clean)
    smaller, files = recording_format.externalise(document)
    text = recording_format.dumps(smaller)
    leaks = (
        *unsearchable(positive.exchange.request, exchange.response, redactor),
        *inspect(text, redactor, secrets, clean),
        *(leak for data in files.values() for leak in inspect_bytes(data, redactor, secrets)),
    )
    kept.refused = bool(leaks)
    row = Row.of(exchange.request, providers, document["request"], outcome="recorded")
    for place, shown in _shown(exchange, document, redactor).items():
        if place == "log" and positive.read is not None:
            continue  # a log line tells what was said, never a stream as it was cut
        if stands(positive.source.secret, [shown.encode()]):
            kept.leaks.append(place)
    if stands(positive.source.secret, [json.dumps(row.as_json()).encode()]):
        kept.leaks.append("row")
    if kept.refused:
        return kept
    if stands(positive.source.secret, [text.encode(), *files.values()]):
        kept.leaks.append("file")
    try:
        replayed = to_exchange(document)
    except ValueError as error:
        kept.faults.append(f"does not load: {error}")
        return kept
    if positive.read is not None and stands(
        positive.source.secret, [positive.read(replayed).encode()]
    ):
        kept.leaks.append("joined stream")
    if not findings and not positive.source.is_known:
        kept.faults.append("nothing was found")
    kept.faults += _faults(exchange, replayed, document, redactor, positive)
    return kept


def _shown(exchange: Exchange, document: Document, redactor: Redactor) -> dict[str, str]:
    """What users see beside the file."""
    secrets = redactor.secrets(exchange.request)
    other = document["request"] | {"body": {"model": "other"}}
    canonical = matcher.canonical(document["request"])
    folder = FolderState(total=1, try_rule=lambda rule: RuleTrial(1, (), ("a",)))
    candidates = [("a", matcher.canonical(other))]
    miss = miss_for(canonical, document["request"]["url"], candidates, folder)
    body = exchange.request.body[:20_000].decode("utf-8", "replace")
    answer = exchange.response.body[:20_000].decode("utf-8", "replace")
    log = f"POST {exchange.request.url} failed: {body!r}; answered {answer}"
    url = document["request"]["url"]
    return {
        "folder name": f"{host_folder(url)}/{endpoint_slug(url)}",
        "miss report": miss.message,
        "log": redactor.text(log, secrets),
    }


def _faults(
    exchange: Exchange,
    replayed: Exchange,
    document: Document,
    redactor: Redactor,
    positive: Positive,
) -> Iterator[str]:
    again, _ = redactor.document(document)
    if again != document:
        yield "redacting twice is not redacting once"
    live = redactor.request(from_request(replayed.request), redactor.secrets(replayed.request))
    # A replay asks for a placeholder as one that the request carried where it finds none as it is.
    forms = (live, {**live, "carried": [ANY]})
    wanted = matcher.canonical(document["request"]).key
    if wanted not in {matcher.canonical(form).key for form in forms}:
        yield "a request with the placeholder has another key"
    before, after = exchange.response.chunks, replayed.response.chunks
    if len(before) != len(after):
        yield f"{len(before)} chunks became {len(after)}"
        return
    if positive.is_fragment is not None and any(
        one.data != other.data
        for one, other in zip(before, after, strict=True)
        if not positive.is_fragment(one.data)
    ):
        yield "a chunk that holds none of the text has changed"
    if positive.read is not None and not positive.name.startswith("twice"):
        yield from _joined(positive.read(exchange), positive.read(replayed), positive)


def _joined(before: str, after: str, positive: Positive) -> Iterator[str]:
    """Faults of a joined text: only the secret may be another, and JSON has to stay JSON."""
    if "arguments" in positive.name or "tool_calls" in positive.name or "json_" in positive.name:
        try:
            one, other = json.loads(before), json.loads(after)
        except ValueError:
            yield "the arguments are no JSON any more"
            return
        if one | {"token": 0} != other | {"token": 0}:
            yield "other arguments have changed"
        before, after = one["token"], other["token"]
    secret = positive.source.secret
    if secret in before:
        around = map(re.escape, before.split(secret))
        if not re.fullmatch(PLACEHOLDER.pattern.join(around), after, re.DOTALL):
            yield "the joined text is not the text with a placeholder"


@pytest.fixture(scope="module")
def kept() -> list[Kept]:
    return [keep(positive) for make in (positives, streams) for positive in make()]


def _told(faults: list[str]) -> str:
    return f"{len(faults)}:\n" + "\n".join(faults)


def test_the_corpus_is_large_enough(kept: list[Kept]) -> None:
    assert len(kept) >= 300
    assert sum(1 for _ in negatives()) >= 1000


def test_the_search_finds_every_secret_before_redaction() -> None:
    blind = []
    for make in (positives, streams):
        for positive in make():
            exchange = positive.exchange
            texts = [exchange.request.target.encode(), exchange.request.body]
            texts += [exchange.response.body]
            texts += [
                value.encode()
                for name, value in (*exchange.request.headers, *exchange.response.headers)
                if (name, value) not in positive.source.headers
            ]
            texts += [positive.read(exchange).encode()] if positive.read else []
            if not stands(positive.source.secret, texts):
                blind.append(positive.name)
    assert blind == []


def test_no_secret_is_left(kept: list[Kept]) -> None:
    missed = [_leak(one) for one in kept if one.leaks]
    refused = sum(one.refused for one in kept)
    recall = 1 - len(missed) / len(kept)
    print(f"\nrecall {recall:.4f} ({len(kept)} positives, {refused} of them refused by the gate)")
    assert recall >= RECALL, _told(missed)


def _leak(kept: Kept) -> str:
    return f"{kept.positive.name}: in {', '.join(kept.leaks)}"


def test_what_can_be_redacted_is_not_refused(kept: list[Kept]) -> None:
    refused = [one.positive.name for one in kept if one.refused and not one.positive.may_refuse]
    assert refused == [], _told(refused)


def test_what_is_left_replays(kept: list[Kept]) -> None:
    faults = [f"{one.positive.name}: {fault}" for one in kept for fault in one.faults]
    assert faults == [], _told(faults)


def test_what_is_no_secret_stays(kept: list[Kept]) -> None:
    wrong = []
    count = 0
    for negative in negatives():
        count += 1
        wrong += [f"{negative.name}: {fault}" for fault in _changes(negative)]
    found = len(kept)
    precision = found / (found + len(wrong))
    print(f"\nprecision {precision:.4f} ({count} negatives, {len(wrong)} of them changed)")
    assert precision >= PRECISION, _told(wrong)
    assert wrong == [], _told(wrong)


def _changes(negative: Negative) -> Iterator[str]:
    redactor = Redactor(RedactionRules())
    exchange = recorded(negative.exchange)
    secrets = redactor.secrets(exchange.request)
    clean = CleanParts()
    document, findings = redactor.document(from_exchange(exchange), secrets, clean)
    headers = tuple(h for h in exchange.request.headers if h not in negative.carried)
    bare = replace(exchange, request=replace(exchange.request, headers=headers))
    expected = from_exchange(bare)
    smaller, _ = recording_format.externalise(document)
    if recording_format.dumps(document) != recording_format.dumps(expected):
        yield f"changed by {', '.join({finding.rule for finding in findings})}"
    elif leaks := inspect(recording_format.dumps(smaller), redactor, secrets, clean):
        yield f"refused by {', '.join(leak.rule for leak in leaks)}"
