"""Recordings in a store, for a run: fetched when used, and in a mirror where it records."""

import asyncio
import json
import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wiretape.config.load import Config
from wiretape.config.packs import dummy_keys
from wiretape.core.errors import StoreError
from wiretape.core.playback.policy import RecordMode
from wiretape.core.redaction.redactor import Redactor
from wiretape.core.text.printable import count
from wiretape.library import index_cache
from wiretape.library.library import LARGE, Library
from wiretape.report.report import Report
from wiretape.state_dir import state_dir
from wiretape.store_url import cache_of, mirror_of

from .settings import Settings

if TYPE_CHECKING:
    from wiretape.stores.mirror import Mirror
    from wiretape.stores.on_demand import OnDemand
    from wiretape.stores.store import ObjectStore


async def with_store(settings: Settings, report: Report) -> Settings:
    """The settings of a run whose recordings can be had; StoreError where they cannot, or could not
    be recorded there without losing others.
    """
    url = settings.config.store
    if url is None or settings.recordings != mirror_of(url):
        # Not in a thread: with one, this process could not be copied (`library/parallel.py`).
        return settings
    return await asyncio.to_thread(_with_store, settings, url, report)


def _with_store(settings: Settings, url: str, report: Report) -> Settings:
    # It takes a moment to import: only who has a store pays for it.
    from wiretape.stores.mirror import Mirror, tidy, waiting
    from wiretape.stores.store import ObjectStore

    store = ObjectStore(url, settings.environ)
    records = settings.mode != "replay"
    if records or settings.edits:
        mirror = Mirror(store, settings.recordings, report.notice)
        mirror.begin(records=records)
        if settings.edits or settings.live_from is not None or settings.after is not None:
            mirror.fill()
            return replace(settings, mirror=mirror)
        return replace(settings, mirror=mirror, on_demand=recording(settings.config, mirror))
    if names := waiting(settings.recordings):
        report.notice(
            f"{count(len(names), 'recording')} of {settings.recordings} could not be uploaded to"
            f" {url} yet, and are not replayed; the next run that records there uploads them"
        )
    origin = on_demand(settings.config, store)
    tidy(origin.folder)
    if settings.crew is not None:
        # Its workers find the index that the store has, or that is made here.
        update_index(settings.config, origin, settings.session)
    return replace(settings, recordings=origin.folder, on_demand=origin)


def origin_of(settings: Settings) -> "OnDemand | None":
    """Where a run fetches recordings when they are first used; None if they are all here."""
    url = settings.config.store
    if settings.on_demand is not None or url is None or settings.mode != "replay":
        return settings.on_demand
    if settings.crew is None or settings.edits or settings.recordings != mirror_of(url):
        return None
    from wiretape.stores.store import ObjectStore

    return on_demand(settings.config, ObjectStore(url, settings.environ))


def on_demand(config: Config, store: "ObjectStore", near: Path | None = None) -> "OnDemand":
    """A store as the origin of a library's recordings; `near` is a folder that has some of them."""
    from wiretape.stores.on_demand import OnDemand

    return OnDemand(store, cache_of(store.url), _fingerprint(config), near)


def recording(config: Config, mirror: "Mirror") -> "OnDemand":
    """A store as the origin of a library that records into the mirror."""
    from wiretape.stores.on_demand import OnDemand

    store, near = mirror.store, cache_of(mirror.store.url)
    return OnDemand(store, mirror.folder, _fingerprint(config), near, mirror=mirror)


def open_on_demand(
    config: Config,
    origin: "OnDemand",
    session: str | None,
    record_mode: RecordMode | None = None,
    since_ns: float = math.inf,
) -> Library:
    """Open the recordings of a store, and give it an index of them where others would miss it; with
    a `record_mode` to record there, and `since_ns` as `open_library` has it.
    """
    prepare = shared_redactor(config).request
    state = origin.state(state_dir(), session)
    mode = record_mode or "replace"
    library = Library(origin.folder, config.matcher, prepare, session, state, mode)
    if record_mode is not None:
        library.join(since_ns)
    library.load()
    with suppress(StoreError):  # who may only read has the recordings all the same
        origin.publish(library)
    if record_mode is not None:
        library.keep_index_apart()
    return library


def update_index(config: Config, origin: "OnDemand", session: str | None = None) -> None:
    """Bring the index in a store to what its manifests list; `session` is indexed in any case,
    others if they are large.
    """
    for name in {None, session, *origin.sessions(LARGE)}:
        open_on_demand(config, origin, name).close()
    origin.trim()


def shared_redactor(config: Config) -> Redactor:
    """The redactor by which all machines find the same keys: it knows no secret of this one."""
    dummies = tuple((key.name, key.value) for key in dummy_keys(config.providers.key_names))
    return Redactor(replace(config.redaction, values=dummies))


def _fingerprint(config: Config) -> str:
    keys = (f"{key.name} {key.value}" for key in dummy_keys(config.providers.key_names))
    return index_cache.shared_fingerprint(_rules_text(config.text), *keys)


BESIDE_KEYS: Final = frozenset(
    (
        *("version", "recordings", "pace", "other_hosts", "on_miss", "http2", "stale_after"),
        *("upstream_proxy", "sequences", "listen", "record", "replay", "faults", "drift"),
        *("prices", "telemetry"),
    )
)
"""What of config.yaml the keys of recordings do not depend on."""


def _rules_text(text: bytes) -> str:
    from wiretape.core.text.located_yaml import parse

    sections = parse(text).value or {}
    rules = {name: section for name, section in sections.items() if name not in BESIDE_KEYS}
    return json.dumps(rules, sort_keys=True, default=str)
