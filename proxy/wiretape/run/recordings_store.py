"""Fill the mirror of an object store, where the configuration has the recordings in one."""

from dataclasses import replace

from wiretape.report.report import Report
from wiretape.store_url import mirror_of

from .settings import Settings


def with_mirror(settings: Settings, report: Report) -> Settings:
    """The settings of a run whose recordings are on this machine by now; StoreError where they
    cannot be had, or could not be recorded there without losing others.
    """
    url = settings.config.store
    if url is None or settings.recordings != mirror_of(url):
        return settings
    # It takes a moment to import: only who has a store pays for it.
    from wiretape.stores.mirror import Mirror
    from wiretape.stores.store import ObjectStore

    store = ObjectStore(url, settings.environ)
    mirror = Mirror(store, settings.recordings, report.notice)
    mirror.fill(records=settings.mode != "replay")
    return replace(settings, mirror=mirror)
