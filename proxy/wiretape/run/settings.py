"""What the command line said of a run, over the configuration."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Literal

from wiretape.config.load import Config
from wiretape.core.cost.prices import Money
from wiretape.core.errors import ConfigError
from wiretape.core.playback.pace import Pace
from wiretape.core.playback.policy import OnMiss, Policy, RecordMode, Selection
from wiretape.core.redaction.run_paths import NO_PATHS, RunPaths

if TYPE_CHECKING:
    from socket import socket

    from wiretape.stores.mirror import Mirror
    from wiretape.stores.on_demand import OnDemand

    from .edits import PartEdit

type Mode = Literal["record", "replay", "auto", "refresh"]


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers of a run: how many, their private folder, and how they are called to work."""

    size: int
    folder: Path
    channel: "socket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One run. `isolate` None: where nothing goes out and continuous integration runs it."""

    mode: Mode
    config: Config
    recordings: Path
    pace: Pace
    port: int = 0
    base_url_port: int | None = None
    session: str | None = None
    record_mode: RecordMode | None = None
    only: tuple[str, ...] = ()
    fill: bool = False
    """Whether takes that are missing in the middle are recorded."""
    budget: Money | None = None
    """The most that live requests may cost."""
    report: Path | str | None = None
    """A file, or the URL below which an object store has the reports of a run's replicas."""
    as_json: bool = False
    """Whether standard output is the report's alone."""
    html_report: Path | None = None
    upstream_ca: tuple[Path, ...] = ()
    routes: Mapping[str, str] = field(default_factory=dict)
    allow_none: bool = False
    """Whether a run succeeds of which nothing reached the proxy."""
    keep_keys: bool = False
    base_urls: bool = False
    """Whether CMD's base-URL variables lead to the base-URL port."""
    isolate: bool | None = None
    mirror: "Mirror | None" = None
    """Where the recordings of an object store are used."""
    on_demand: "OnDemand | None" = None
    """Where recordings are fetched from when they are first used."""
    workers: int = 1
    """The processes that carry a replay."""
    crew: Crew | None = None
    token: str = field(default_factory=lambda: token_urlsafe(24), repr=False)
    """Of the control endpoint."""
    drain: float = 0.0
    """Seconds that a server goes on after SIGTERM, not ready any more."""
    run_name: str | None = None
    """The run that replicas with the same `sequences` are part of."""
    paths: RunPaths = NO_PATHS
    """The folders of CMD, which recordings hold as what they are."""
    live_from: int | None = None
    """The number of the request from which an `auto` run is live, recorded as a branch."""
    after: str | None = None
    """The recording after which it is, as users name it."""
    branch: str | None = None
    """The session of the branch."""
    edits: "tuple[PartEdit, ...]" = ()
    """What recorded answers are to say instead, in this run."""
    max_age: str | None = None
    """The age, such as 90d, beyond which a recording that answers is reported."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def expects_requests(self) -> bool:
        """Whether CMD has to make a request: else it may have asked the provider, past us."""
        return not self.allow_none and (self.mode == "replay" or in_ci(self.environ))

    @property
    def policy(self) -> Policy:
        """What goes to the provider; ConfigError for a selection that selects nothing."""
        fresh = None
        if self.mode == "refresh":
            names = [rule.name for rule in self.config.matcher.rules]
            try:
                fresh = Selection.parse(self.only, names)
            except ValueError as error:
                raise ConfigError(f"--only {error}") from None
        return Policy(self.config.on_miss or OnMiss("record"), fresh, self.fill)

    @property
    def writes(self) -> RecordMode:
        """What becomes of takes that are recorded again; those beside a filled gap stay."""
        return "append" if self.fill else self.record_mode or self.config.record_mode

    @property
    def client_host(self) -> str:
        """Where clients on this machine find the proxy, as a URL spells it."""
        address = ip_address(self.config.host)
        if address.is_unspecified:
            return "127.0.0.1" if address.version == 4 else "[::1]"
        return f"[{address}]" if address.version == 6 else str(address)


def in_ci(environ: Mapping[str, str]) -> bool:
    """Whether a run is one of continuous integration, by the variable that all such systems set."""
    return environ.get("CI", "").lower() not in ("", "0", "false")
