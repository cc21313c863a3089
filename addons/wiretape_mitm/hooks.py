"""The hook classes of a run, in the order mitmproxy calls them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from wiretape.core.cost.budget import Budget
from wiretape.core.model import MAX_BODY
from wiretape.core.playback.policy import MISS_STATUS
from wiretape.core.providers.registry import Providers
from wiretape.engine.replayer import Replayer
from wiretape.engine.tickets import Tickets
from wiretape.intake.intake import Intake
from wiretape.report.report import Report
from wiretape.sessions.control import Control
from wiretape.sessions.sessions import Sessions

from .admission import Admission
from .connections import Connections, Exits
from .flow_sessions import FlowSessions
from .guard import Guarded
from .own_port import OwnPort
from .record_flow import RecordFlow, RecordRules
from .replay_flow import ReplayFlow
from .routes import Routes
from .spending import SpendingGate


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRules:
    """What flows of a run are subject to; `RecordRules` and `Exits` say what each means."""

    routes: Mapping[str, str] = field(default_factory=dict)
    tunnel_others: bool = True
    max_body: int = MAX_BODY
    drain: bool = False
    budget: Budget | None = None
    miss_status: int = MISS_STATUS


class Hooks:
    """Records with an `intake`, replays with a `replayer`, does both with both.

    `chain` is for mitmproxy's addon manager; `tickets` are for the replay engine, whose port is to
    be put into `exits`.
    """

    def __init__(
        self,
        sessions: Sessions,
        report: Report,
        control: Control,
        intake: Intake | None,
        replayer: Replayer | None,
        rules: HookRules,
    ) -> None:
        providers = _providers(intake, replayer)
        flow_sessions = FlowSessions(sessions)
        self.tickets: Final = Tickets()
        self.report: Final = report
        self.exits: Final = Exits(providers, intake is not None, rules.tunnel_others)
        self._record_flow: RecordFlow | None = None
        own_port = OwnPort(control, providers, report)
        connections = Connections(self.exits, flow_sessions, report)
        chain: list[object] = [Admission(report), own_port, connections]
        if replayer is not None:
            replay = ReplayFlow(replayer, self.tickets, flow_sessions, self.exits, intake)
            chain.append(replay)
        if intake is not None:
            record_rules = RecordRules(
                providers=providers,
                routes=Routes(rules.routes),
                on_miss=replayer.policy.on_miss if replayer is not None else None,
                max_body=rules.max_body,
                drain=rules.drain,
                spending=_spending(rules, providers),
            )
            self._record_flow = RecordFlow(intake, flow_sessions, report, record_rules)
            chain.append(self._record_flow)
        chain.append(own_port.links)
        self.chain: Final = tuple(Guarded(addon, report) for addon in chain)

    @property
    def under_way(self) -> int:
        """How many exchanges are recorded just now."""
        return self._record_flow.under_way if self._record_flow is not None else 0

    async def idle(self) -> None:
        """Wait until no exchange is recorded any more."""
        if self._record_flow is not None:
            await self._record_flow.idle()

    def abandon(self) -> None:
        """The proxy stops: what is still under way is kept as far as it came, marked as cut."""
        if self._record_flow is not None:
            self._record_flow.abandon()


def _spending(rules: HookRules, providers: Providers) -> SpendingGate | None:
    if rules.budget is None:
        return None
    return SpendingGate(rules.budget, providers, rules.miss_status)


def _providers(intake: Intake | None, replayer: Replayer | None) -> Providers:
    if replayer is not None:
        return replayer.providers
    assert intake is not None
    return intake.providers
