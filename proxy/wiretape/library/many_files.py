"""Derive the facts of many files in less time than those of each by itself.

Each step is taken for all files before the next: so its code and tables stay in the processor's
nearest caches, where the steps of one file push out each other's. That saves a third of the time.
What is not plain (faults, side files that are missing, llama-stack's) is left to
`recording_file.facts`, which gives the same for any file.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from wiretape.core.errors import FormatError, StoreError
from wiretape.core.matching.sketch import sketch
from wiretape.core.model import Exchange
from wiretape.core.recording import llamastack
from wiretape.core.recording import text as recording_format
from wiretape.core.recording.document import Document, to_exchange
from wiretape.core.recording.given_ids import answer_ids

from .direct_answer import direct_answer
from .recording_file import (
    Derived,
    Examine,
    ExamineAll,
    Facts,
    Same,
    Stat,
    StoredRequest,
    answered,
    answers_directly,
    complete,
    digest,
    facts,
    is_settled,
    links_of,
    read_bytes,
    side_files,
    side_files_beside,
)


class _File(NamedTuple):
    """A file that was read, and what it holds."""

    name: str
    path: str
    data: bytes
    stat: Stat
    read_ns: int
    document: Document
    exchange: Exchange


def facts_of_many(
    folder: Path,
    names: Sequence[str],
    examine: Examine,
    examine_all: ExamineAll,
    *,
    keeps_answers: bool = True,
) -> list[Facts | Same | None]:
    """What `facts` gives for each file below `folder`, in their order. `examine_all` gives what
    `examine` does, and remembers nothing of one file for the next.
    """
    files = _read(folder, names)
    try:
        requests = [(file.document["request"], file.exchange.request) for file in files]
        stored = examine_all(requests)
    except (FormatError, StoreError):
        files, stored = [], []
    by_name = {each.name: each for each in _facts_of(files, stored, keeps_answers=keeps_answers)}
    return [
        by_name.get(name) or facts(folder, name, examine, keeps_answer=keeps_answers)
        for name in names
    ]


def _read(folder: Path, names: Sequence[str]) -> list[_File]:
    """The files that are plain recordings."""
    read: list[tuple[str, str, bytes, Stat, int]] = []
    for name in names:
        path, read_ns = os.path.join(folder, name), time.time_ns()
        try:
            read.append((name, path, *read_bytes(path), read_ns))
        except StoreError:
            continue
    documents: list[Document | None] = []
    for _, _, data, _, _ in read:
        try:
            document = recording_format.loads(data)
            documents.append(None if llamastack.is_llamastack(document) else document)
        except FormatError:
            documents.append(None)
    files: list[_File] = []
    for parts, parsed in zip(read, documents, strict=True):
        if parsed is None:
            continue
        try:
            exchange = to_exchange(parsed, side_files_beside(parts[1]), parsed=True)
        except (FormatError, StoreError):
            continue
        files.append(_File(*parts, parsed, exchange))
    return files


def _facts_of(
    files: Sequence[_File], stored: Sequence[StoredRequest], *, keeps_answers: bool
) -> list[Facts]:
    sketches = [sketch(each.forms[0].value) for each in stored]
    pairs = list(zip(files, stored, strict=True))
    ids = [answer_ids(file.document, each.sent) for file, each in pairs]
    derived = [
        Derived(
            answered(each.forms),
            tuple(side_files(file.document)),
            links_of(file.document),
            *both,
        )
        for (file, each), both in zip(pairs, zip(sketches, ids, strict=True), strict=True)
    ]
    if keeps_answers:
        derived = [
            parts._replace(
                answer=direct_answer(file.name, file.exchange.response, file.exchange.paths)
            )
            if answers_directly(each, parts)
            else parts
            for (file, each), parts in zip(pairs, derived, strict=True)
        ]
    bare = [
        Facts(
            name=file.name,
            stat=file.stat,
            settled=is_settled(file.stat[1], file.read_ns),
            content=digest(file.data),
        )
        for file in files
    ]
    return [
        complete(known, file.document, file.data, each, parts)
        for known, (file, each), parts in zip(bare, pairs, derived, strict=True)
    ]
