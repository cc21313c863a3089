"""Collect what happened in a run: a row per exchange, the counts, and the exit status."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import Any, Final, Literal

from wiretape.core.cost.budget import Budget
from wiretape.core.cost.prices import Metered, PriceTable, Spending
from wiretape.core.cost.usage import Usage
from wiretape.core.matching.canonical import Change
from wiretape.core.matching.miss import Miss, as_told
from wiretape.core.model import Request
from wiretape.core.providers.registry import Providers
from wiretape.core.recording.document import Document

type RowOutcome = Literal[
    "recorded", "replayed", "missed", "skipped", "refused", "failed", "passed"
]
"""recorded, replayed; missed: no recording; skipped: not to be recorded (an error answer, an
upgrade); refused: would have held a secret or could not be written; failed: the provider was not
reached; passed: forwarded without a recording.
"""

type Fate = Literal["refused", "unrecorded"]
"""What was done with a client's request for a host of no provider."""

EXIT_MISS: Final = 3
EXIT_REFUSED: Final = 4
_HOSTS: Final = 20
_LATEST: Final = 1_000
_NEWS: Final = (
    *("rows", "notices", "connections", "control_requests", "redactions", "beyond", "unserved"),
    *("other_hosts", "tunnels", "untrusting", "applied", "old"),
    *("_counts", "_sessions", "_stale", "_stale_rules", "_metered"),
)


@dataclass(slots=True)
class Row:
    """One exchange as terminal and report show it; times in seconds, redacted throughout. It does
    not change, and is not frozen: that would double the time in which a row is made.

    `take` counts from 1, `beyond` says that it was given again after the last one; `stale` is what
    rules leave out and has changed since the recording, `fault` the name of an injected fault.
    """

    outcome: RowOutcome
    provider: str
    method: str
    path: str
    model: str | None = None
    _: KW_ONLY
    status: int | None = None
    chunks: int | None = None
    first_chunk: float | None = None
    duration: float | None = None
    recording: str | None = None
    note: str | None = None
    miss: Miss | None = None
    session: str | None = None
    take: int | None = None
    beyond: bool = False
    stale: tuple[Change, ...] = ()
    fault: str | None = None
    usage: Usage | None = None

    @classmethod
    def of(cls, request: Request, providers: Providers, document: Document, **facts: Any) -> "Row":
        """Make the row of a request from its redacted document and further fields of a row."""
        provider = providers.find(request.host, request.port)
        return cls(
            provider=provider.name if provider else request.host,
            method=request.method,
            path=document["endpoint"],
            model=document.get("model"),
            **facts,
        )

    def as_json(self) -> dict[str, Any]:
        """Give the row as `--report` has it, without empty members."""
        members = {name: getattr(self, name) for name in self.__slots__ if name != "_"}
        members["miss"] = self.miss and self.miss.as_json()
        members["beyond"] = self.beyond or None
        members["usage"] = self.usage and self.usage.as_json()
        members["stale"] = [
            {
                "path": change.path,
                "rule": change.rule,
                "got": as_told(change.got),
                "recorded": as_told(change.recorded),
            }
            for change in self.stale
        ] or None
        for name in ("first_chunk", "duration"):
            if members[name] is not None:
                members[name] = round(members[name], 3)
        return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Underway:
    """An exchange that has begun, when, and how many reads or chunks have passed by now."""

    row: Row
    started: float
    count: Callable[[], int]


@dataclass(slots=True)
class Report:
    """The rows and notices of a run.

        report = Report("replay")
        report.add(Row("replayed", "openai", "POST", "/v1/responses", status=200))
        report.exit_status  # 0

    With `keep_rows` False only the latest rows stay in memory, for a run that writes no file.

    `listen` is called with each row as it comes and `notify` with each notice; `watched` says that
    `underway`, the exchanges that have begun, is shown. With `strict_ignored` a change that
    a rule ignores fails the run.
    """

    mode: str
    _: KW_ONLY
    rows: deque[Row] = field(default_factory=deque)
    notices: list[str] = field(default_factory=list)
    connections: int = 0
    control_requests: int = 0
    """How often the control endpoint was asked."""
    redactions: Counter[str] = field(default_factory=Counter)
    beyond: int = 0
    unserved: int = 0
    """Clients that got no answer, or waited for one, because the machine had no means."""
    other_hosts: dict[str, Counter[Fate]] = field(default_factory=dict)
    """Hosts of no provider that clients asked for, and how often each was refused or let through
    unrecorded.
    """
    tunnels: dict[str, bool] = field(default_factory=dict)
    """Provider hosts to which a tunnel was opened, and whether a request came through one."""
    untrusting: set[str] = field(default_factory=set)
    """The hosts for which a client said that it does not trust wiretape's certificate."""
    trust_remedy: str = ""
    """What to do about such a client; HOST stands for the host."""
    old: dict[str, int] = field(default_factory=dict)
    """Recordings that answered and are older than the run allows, with their age in days."""
    expects_requests: bool = False
    """Whether the run fails if nothing reached the proxy."""
    isolated: bool = False
    """Whether CMD had a network with loopback only."""
    listen: Callable[[Row], None] | None = None
    observers: list[Callable[[Row], None]] = field(default_factory=list)
    """Called with each row as well: metrics and traces."""
    lateness: Callable[[float], None] | None = None
    """Called with the seconds that a paced chunk left after its time."""
    open_streams: Callable[[], int] = lambda: 0
    """How many answers are under way."""
    notify: Callable[[str], None] | None = None
    watched: bool = False
    underway: dict[object, Underway] = field(default_factory=dict)
    strict_ignored: bool = False
    command_status: int | None = None
    """CMD's exit status; None without a CMD."""
    applied: set[str] = field(default_factory=set)
    """The names of the matching rules that found something in a request."""
    prices: Callable[[], PriceTable] | None = None
    """What tokens cost; None: costs are not reported."""
    budget: Budget | None = None
    """What live requests may cost."""
    keep_rows: InitVar[bool] = True
    _counts: Counter[RowOutcome] = field(default_factory=Counter)
    _sessions: dict[str, Counter[RowOutcome]] = field(default_factory=dict)
    _stale: Counter[tuple[str, str]] = field(default_factory=Counter)
    _stale_rules: Counter[str] = field(default_factory=Counter)
    _metered: dict[RowOutcome, Counter[Metered]] = field(default_factory=dict)

    def __post_init__(self, keep_rows: bool) -> None:
        if not keep_rows:
            self.rows = deque(maxlen=_LATEST)

    def add(self, row: Row) -> None:
        """Add the row of an exchange that is over."""
        self.rows.append(row)
        self._counts[row.outcome] += 1
        if row.session is not None:
            _counter(self._sessions, row.session)[row.outcome] += 1
        if row.usage is not None:
            exchange = row.provider, row.model or "", row.usage
            _counter(self._metered, row.outcome)[exchange] += 1
        if row.stale:
            self._stale.update({(change.path, change.rule) for change in row.stale})
            self._stale_rules.update({change.rule for change in row.stale})
        if self.listen is not None:
            self.listen(row)
        for observe in self.observers:
            observe(row)

    def take_news(self, latest: int | None = None) -> dict[str, Any]:
        """Give what came since the last call, for another process's report to absorb: with `latest`
        no more rows of replayed answers than that.
        """
        fresh = Report(self.mode)
        news = {name: getattr(self, name) for name in _NEWS}
        if latest is not None:
            first = len(self.rows) - latest
            news["rows"] = [
                row
                for number, row in enumerate(self.rows)
                if number >= first or row.outcome != "replayed"
            ]
        for name in _NEWS:
            setattr(self, name, getattr(fresh, name))
        return news

    def absorb(self, news: Mapping[str, Any]) -> None:
        """Add what another process's report has."""
        for row in news["rows"]:
            self.rows.append(row)
            if self.listen is not None:
                self.listen(row)
            for observe in self.observers:
                observe(row)
        for outcome, exchanges in news["_metered"].items():
            self._metered.setdefault(outcome, Counter()).update(exchanges)
        for name, counts in news["_sessions"].items():
            self._sessions.setdefault(name, Counter()).update(counts)
        self.old |= news["old"]
        for notice in news["notices"]:
            self.notice(notice)
        for name in ("connections", "control_requests", "beyond", "unserved"):
            setattr(self, name, getattr(self, name) + news[name])
        for name in ("redactions", "_counts", "_stale", "_stale_rules"):
            getattr(self, name).update(news[name])
        for host, fates in news["other_hosts"].items():
            self.other_hosts.setdefault(host, Counter()).update(fates)
        for host, has_request in news["tunnels"].items():
            self.tunnels[host] = self.tunnels.get(host, False) or has_request
        self.untrusting |= news["untrusting"]
        self.applied |= news["applied"]

    def begin(self, token: object, row: Row, started: float, count: Callable[[], int]) -> None:
        """Show an exchange as under way until `end`; `started` is `time.perf_counter`'s."""
        self.underway[token] = Underway(row, started, count)

    def end(self, token: object) -> None:
        """Stop showing an exchange as under way."""
        self.underway.pop(token, None)

    def notice(self, text: str) -> None:
        """Tell the user something, each text once."""
        if text not in self.notices:
            self.notices.append(text)
            if self.notify is not None:
                self.notify(text)

    def bypassed(self, host: str, port: int, fate: Fate) -> None:
        """Count a client's request for a host of no provider."""
        name = f"[{host}]" if ":" in host else host
        host_and_port = name if port == 443 else f"{name}:{port}"
        self.other_hosts.setdefault(host_and_port, Counter())[fate] += 1

    def not_trusted(self, host: str) -> None:
        """Note that a client does not trust wiretape's certificate for a host."""
        self.untrusting.add(host)
        remedy = self.trust_remedy.replace("HOST", host)
        self.notice(f"a client does not trust wiretape's certificate for {host}: {remedy}")

    def not_served(self, why: str) -> None:
        """Note that a client could not be served at once, or at all: the run fails."""
        self.unserved += 1
        self.notice(why)

    @property
    def exchanges(self) -> int:
        """How many exchanges there were, of any outcome."""
        return self._counts.total()

    @property
    def counts(self) -> Counter[RowOutcome]:
        return self._counts.copy()

    @property
    def sessions(self) -> dict[str, Counter[RowOutcome]]:
        """The counts of each named session, by its name."""
        return dict(sorted(self._sessions.items()))

    @property
    def stale(self) -> Counter[tuple[str, str]]:
        """What has changed since the recordings though rules ignore it: in how many exchanges, by
        path and rule, the most frequent first.
        """
        return Counter(dict(sorted(self._stale.items(), key=lambda item: (-item[1], item[0]))))

    @property
    def stale_rules(self) -> Counter[str]:
        """In how many exchanges what a rule ignores has changed, by the rule's name."""
        return self._stale_rules.copy()

    @property
    def spending(self) -> dict[RowOutcome, Spending]:
        """What was recorded (and paid) and what was replayed (and would have been): tokens and
        cost, of the exchanges that have any.
        """
        prices = self.prices() if self.prices is not None and self._metered else PriceTable(())
        return {o: Spending.of(exchanges, prices) for o, exchanges in self._metered.items()}

    @property
    def exit_status(self) -> int:
        """The exit status of a run in which CMD succeeded: 4 for a loss or clients that could not
        be served; 3 for a miss, if nothing reached the proxy, or (`strict_ignored`) for a change
        that a rule ignores; else 0.
        """
        counts = self.counts
        if counts["refused"] or self.unserved:
            return EXIT_REFUSED
        # In replay no provider is contacted, so a failure is wiretape's.
        missed = counts["missed"] or (self.mode == "replay" and counts["failed"])
        strict = self.strict_ignored and bool(self._stale)
        return EXIT_MISS if missed or strict or self.is_silent else 0

    @property
    def is_silent(self) -> bool:
        """Whether nothing reached the proxy of a run that expects something."""
        return self.expects_requests and not self.is_reached

    @property
    def client_connections(self) -> int:
        """The connections of clients, if each request of control came on one of its own."""
        return max(0, self.connections - self.control_requests)

    @property
    def is_reached(self) -> bool:
        """Whether anything reached the proxy, besides what replay answers without a recording."""
        unrecorded = self._counts["passed"] if self.mode == "replay" else 0
        return self.unserved > 0 or self.exchanges > unrecorded

    def as_json(self) -> dict[str, Any]:
        """Give the document that `--report` writes."""
        status = {} if self.command_status is None else {"command_status": self.command_status}
        return {
            "wiretape_report": 1,
            "mode": self.mode,
            **status,
            "counts": dict(sorted(self.counts.items())),
            "sessions": {name: dict(sorted(c.items())) for name, c in self.sessions.items()},
            "beyond_last_take": self.beyond,
            **({"unserved": self.unserved} if self.unserved else {}),
            **({"old": self.old} if self.old else {}),
            **({"isolated": True} if self.isolated else {}),
            **({"other_hosts": self._other_hosts_as_json()} if self.other_hosts else {}),
            "stale": [
                {"path": path, "rule": rule, "exchanges": count}
                for (path, rule), count in self.stale.items()
            ],
            "redactions": dict(sorted(self.redactions.items())),
            "notices": self.notices,
            **({"budget": self.budget.as_json()} if self.budget else {}),
            **({"usage": self._spending_as_json()} if self._metered else {}),
            "exchanges": [{**row.as_json(), **self._cost_of(row)} for row in self.rows],
        }

    def _spending_as_json(self) -> dict[str, Any]:
        return {outcome: spent.as_json() for outcome, spent in sorted(self.spending.items())}

    def _cost_of(self, row: Row) -> dict[str, Any]:
        if row.usage is None or self.prices is None:
            return {}
        cost = self.prices().cost(row.provider, row.model, row.usage)
        return {} if cost is None else {"cost": cost.as_json()}

    def _other_hosts_as_json(self) -> list[dict[str, Any]]:
        return [
            {"host": host, **dict(sorted(fates.items()))}
            for host, fates in sorted(self.other_hosts.items())
        ]


def _counter[K, V](counters: dict[K, Counter[V]], key: K) -> Counter[V]:
    # `setdefault` would make a counter for each row.
    counter = counters.get(key)
    if counter is None:
        counter = counters[key] = Counter()
    return counter


def other_host_lines(report: Report) -> list[str]:
    """Word which hosts of no provider were asked for: a line for each fate."""
    lines = []
    texts: dict[Fate, str] = {"refused": "refused", "unrecorded": "passed unrecorded"}
    for fate, text in texts.items():
        hosts = [
            f"{host} ({fates[fate]}x)" if fates[fate] > 1 else host
            for host, fates in sorted(report.other_hosts.items())
            if fates[fate]
        ]
        more = f", and {len(hosts) - _HOSTS} more" if len(hosts) > _HOSTS else ""
        if hosts:
            lines.append(f"hosts of no provider, {text}: {', '.join(hosts[:_HOSTS])}{more}")
    return lines
