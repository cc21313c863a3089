"""Read config.yaml and turn it into the values that the other modules take."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wiretape.core.cost.prices import Price, PriceTable
from wiretape.core.drift.rules import DriftRule, Limits
from wiretape.core.errors import ConfigError
from wiretape.core.matching.matcher import COMPARED_HEADERS, Matcher
from wiretape.core.matching.rule import Rule
from wiretape.core.playback.faults import FaultRule
from wiretape.core.playback.pace import Pace
from wiretape.core.playback.player import Repeat
from wiretape.core.playback.policy import MISS_STATUS, OnMiss, RecordMode
from wiretape.core.providers.registry import Provider, Providers
from wiretape.core.redaction.key_patterns import PATTERNS
from wiretape.core.redaction.placeholder import SECRET, label
from wiretape.core.redaction.rules import RedactionRules
from wiretape.core.text.located import MAX_BYTES, NotYaml, Problem, Tree
from wiretape.store_url import is_store, mirror_of

from .defaults import default_file
from .faults import faults as faults_of
from .near import near
from .packs import drift_rules, id_names
from .packs import providers as known_providers
from .prices import own_prices, price_table
from .redact_section import (
    dotenv_variables,
    redaction_rules,
    secret_variables,
    weak_value_notices,
)
from .rules import Wrong, host_key, rules

if TYPE_CHECKING:
    from .schema import File, OtherHosts

BUILT_IN: Final = "built-in defaults"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of a run. `recordings` is relative to the working directory, port 0 is any free
    one, and `source` names the file for messages.

    `other_hosts` None: tunnelled by `record` and `auto`, refused by `replay`.
    """

    source: str
    recordings: Path
    port: int
    base_url_port: int | None
    pace: Pace
    other_hosts: "OtherHosts | None"
    record_errors: bool
    repeat: Repeat
    providers: Providers
    matcher: Matcher
    redaction: RedactionRules
    text: bytes = field(default=b"", repr=False)
    """The file's own bytes."""
    notices: tuple[str, ...] = ()
    """Printed before a run: variables whose values are not searched for. They hold no value."""
    removed_rules: tuple[Rule, ...] = ()
    """Rules of packs that the file takes out."""
    miss_status: int = MISS_STATUS
    record_mode: RecordMode = "replace"
    record_drain: bool = False
    run_paths: bool = True
    """Whether CMD's folders are stored as what they are."""
    record_max_body: int = 64 << 20
    """Bytes."""
    host: str = "127.0.0.1"
    """Where to listen."""
    names: frozenset[str] = frozenset()
    """The names of this machine in base URLs."""
    on_miss: OnMiss | None = None
    """None: as the mode has it."""
    http2: bool = False
    stale_after: str = "90d"
    """The age limit of `wiretape stale`: 90d, 12h."""
    upstream_proxy: str | None = field(default=None, repr=False)
    """http://[user:password@]host:port."""
    store: str | None = None
    """The object store that the recordings are in; `recordings` is then what was pulled of it."""
    sequences: str | None = field(default=None, repr=False)
    """Where a replay's replicas share which take is next: a URL of Redis, or its variable."""
    faults: tuple[FaultRule, ...] = ()
    """Faults on demand in replayed answers."""
    drift_rules: tuple[DriftRule, ...] = ()
    """What `wiretape drift` makes of changes, before its own rules."""
    drift_limits: Limits = field(default_factory=Limits)
    own_prices: tuple[Price, ...] = ()
    metrics: bool = False
    traces: bool = False
    trace_content: bool = False
    """Whether spans have what was asked and answered."""
    depends_on_more: bool = False
    """Whether other files, variables or places decide what it says, or whether it is right."""

    @property
    def prices(self) -> PriceTable:
        """What tokens cost: the file's own prices before those that come with wiretape."""
        return price_table(self.own_prices)


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read a configuration file, or, without a path, the working directory's config.yaml or else
    the defaults. `environ` gives the values of the variables that hold secrets.

    Raises ConfigError with all problems, a line each.
    """
    chosen = path or Path("config.yaml")
    data = _read(chosen, missing_is_fine=path is None)
    if data is None:
        return _config(BUILT_IN, b"", Tree(None, {(): 1}, ()), (default_file(), []), environ)
    # Imported late: ruamel.yaml and pydantic take 120 ms, and many runs have no file.
    from wiretape.core.text.located_yaml import parse

    from .schema import File, check

    source = str(chosen)
    try:
        tree = parse(data)
    except NotYaml as error:
        raise ConfigError(f"{source}:{error.line}:{error.column}: not YAML: {error}") from None
    try:
        return _config(source, data, tree, check(tree), environ)
    except ConfigError as error:
        if path is not None or not _is_foreign(tree.value, File.model_fields):
            raise
        hint = f"{source}: if this is another program's file, name wiretape's with --config"
        raise ConfigError(*error.faults, hint) from None


def _read(path: Path, *, missing_is_fine: bool) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if missing_is_fine:
            return None
        raise ConfigError(
            f"{path}: no such file; name one that is there, or leave it away for the defaults"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read: {reason}") from None


type _Checked = tuple["File", list[Problem]]
"""What a document says, and what is wrong with it."""


def _config(
    source: str, data: bytes, tree: Tree, checked: _Checked, environ: Mapping[str, str]
) -> Config:
    file, problems = checked
    wrong: list[Wrong] = []
    providers = _providers(file, wrong)
    environ = {**dotenv_variables(file, wrong), **environ}
    redaction = redaction_rules(file, secret_variables(file, providers, environ), wrong)
    in_effect, removed = rules(file, tree, source, providers, wrong)
    matcher = _matcher(file, providers, in_effect, redaction, wrong)
    on_demand = faults_of(
        [entry.model_dump(exclude_defaults=True) for entry in file.faults],
        lambda name, location: host_key(name, providers, location, wrong, is_any_host=True),
        wrong,
    )
    prices = tuple(own_prices(file.prices, providers, wrong))
    upstream_proxy, proxy_notices = _upstream_proxy(file, environ, wrong)
    _refuse(source, [*problems, *(Problem(tree.line(at), at, text) for at, text in wrong)])
    return Config(
        **{name: getattr(file, name) for name in _AS_WRITTEN},
        source=source,
        recordings=_folder(file.recordings),
        store=file.recordings if is_store(file.recordings) else None,
        port=file.listen.port,
        base_url_port=file.listen.base_url_port,
        record_errors=file.record.errors,
        repeat=file.replay.repeat,
        miss_status=file.replay.miss_status,
        providers=providers,
        matcher=matcher,
        redaction=redaction,
        text=data,
        removed_rules=removed,
        notices=(*weak_value_notices(file, environ), *proxy_notices),
        record_mode=file.record.mode,
        record_drain=file.record.drain,
        run_paths=file.record.folders,
        record_max_body=file.record.max_body << 20,
        host=file.listen.host,
        names=frozenset(file.listen.names),
        upstream_proxy=upstream_proxy,
        faults=on_demand,
        drift_rules=(*_drift_rules(file), *drift_rules()),
        drift_limits=_limits(file),
        own_prices=prices,
        metrics=file.telemetry.metrics,
        traces=file.telemetry.traces,
        trace_content=file.telemetry.content,
        depends_on_more=_depends_on_more(file),
    )


def _depends_on_more(file: "File") -> bool:
    return bool(file.redact.dotenv or file.upstream_proxy or is_store(file.recordings))


_AS_WRITTEN: Final = ("pace", "other_hosts", "on_miss", "http2", "stale_after", "sequences")
"""The keys that mean what they say."""


def _refuse(source: str, problems: list[Problem]) -> None:
    """Raise ConfigError if there is a problem."""
    if problems:
        problems.sort(key=lambda problem: problem.line)
        raise ConfigError(*(f"{source}:{problem.line}: {problem}" for problem in problems))


def _limits(file: "File") -> Limits:
    drift = file.drift
    return Limits(usage=drift.usage, similar=drift.similar, timing=drift.timing)


def _drift_rules(file: "File") -> Iterator[DriftRule]:
    return (DriftRule(**entry.model_dump()) for entry in file.drift.rules)


def _folder(recordings: str) -> Path:
    return mirror_of(recordings) if is_store(recordings) else Path(recordings)


def _is_foreign(value: object, keys: Iterable[str]) -> bool:
    """Whether a document has none of our keys."""
    return not isinstance(value, dict) or value.keys().isdisjoint(keys)


# ------------------------------------------------------------------ what the file means


def _providers(file: "File", wrong: list[Wrong]) -> Providers:
    """The built-in providers with what the file adds to them, then the file's own."""
    providers = {provider.name: provider for provider in known_providers()}
    owner = {host: provider.name for provider in providers.values() for host in provider.hosts}
    built_in = tuple(providers)
    for name, entry in file.providers.items():
        for index, host in enumerate(entry.hosts):
            if owner.setdefault(host, name) != name:
                text = f"{host} belongs to the provider {owner[host]}; a host has one provider"
                wrong.append((("providers", name, "hosts", index), text))
        provider = providers.get(name, Provider(name, ()))
        if not provider.hosts and not entry.hosts:
            text = (
                f"{name} has no hosts of its own: give yours, such as localhost:8000"
                if name in built_in
                else f"a new provider needs hosts{near(name, built_in)}"
            )
            wrong.append((("providers", name), text))
        errors = entry.errors or provider.errors
        providers[name] = Provider(
            name,
            _joined(provider.hosts, entry.hosts),
            _joined(provider.key_env, entry.key_env),
            errors,
            provider.ids if name in built_in else id_names(errors or "openai"),
        )
    return Providers(providers.values())


def _joined(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _upstream_proxy(
    file: "File", environ: Mapping[str, str], wrong: list[Wrong]
) -> tuple[str | None, tuple[str, ...]]:
    """The proxy to go through, its variables filled in, and notices about it."""
    text = file.upstream_proxy
    if text is None:
        return None, ()
    from .value_types import PROXY_EXPECTED, VARIABLES, is_proxy_url

    names = [match[1] or match[2] for match in VARIABLES.finditer(text)]
    unset = [name for name in names if not environ.get(name, "").strip()]
    if unset:
        notice = f"upstream_proxy: {unset[0]} is not set, so providers are reached without a proxy"
        return None, (notice,)
    url = VARIABLES.sub(lambda match: environ[match[1] or match[2]].strip(), text)
    if not is_proxy_url(url):
        # The value is not shown: it may hold a password.
        message = f"with {', '.join(names)} filled in it is not a proxy: {PROXY_EXPECTED}"
        wrong.append((("upstream_proxy",), message))
    return url, ()


def _matcher(
    file: "File",
    providers: Providers,
    rules: Sequence[Rule],
    redaction: RedactionRules,
    wrong: list[Wrong],
) -> Matcher:
    for index, name in enumerate(file.match.headers):
        if name in redaction.secret_headers:
            wrong.append((("match", "headers", index), f"{name} is secret and never compared"))
    own = [
        *(pattern.name for pattern in redaction.patterns),
        *(rule.name for rule in redaction.json),
    ]
    shipped = {label(pattern.name) for pattern in PATTERNS} | {SECRET}
    distinct = {label(name) for name in own} - shipped
    return Matcher(
        providers,
        [*COMPARED_HEADERS, *file.match.headers],
        rules,
        redaction.secret_query,
        distinct,
        [*file.match.without_headers, *redaction.secret_headers],
    )
