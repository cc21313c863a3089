"""Three rounds of the same calls: the provider directly, through `record`, through `replay`.

While recording, the provider sends an event only when the client has printed the one before it, so
that a proxy that holds one back is found out without a clock.
"""

import json
import queue
import re
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support.commands import command
from tests.support.limits import PATIENCE
from tests.support.upstream import Received, Upstream

from .cases import Case

type Gates = Mapping[str, Mapping[int, threading.Event]]
type Lines = queue.Queue[str | None]

KEYS = {
    "OPENAI_API_KEY": "sk-proj-Vb3kT9wQz7LmX2cR8yJ5nH4d",
    "TOGETHER_API_KEY": "tgp_v1_Zq8WmK3rT6yN1xC5vB9sD2fG7hJ4kL0pAeUiOoPqRs",
    "ANTHROPIC_API_KEY": "sk-ant-api03-Rt5Yh8Jk2Lp9Zx4Cv7Bn1Mq6Ws3Ed0",
}


@dataclass
class Round:
    """What one run of all calls brought."""

    lines: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """What was printed about each call."""
    requests: dict[str, list[Received]] = field(default_factory=lambda: defaultdict(list))
    """What the provider was asked for each call."""
    late: set[str] = field(default_factory=set)
    """Calls whose client did not show what had been sent to it."""
    status: int = 0
    errors: str = ""
    report: Any = None

    def read(self, text: str) -> str:
        """Take in a printed line; give its call."""
        line = json.loads(text)
        name: str = line["call"]
        self.lines[name].append(line)
        return name

    def sort(self, requests: Iterable[Received]) -> None:
        """Find out which call made each request: it says so, or has no body to say it in."""
        for request in requests:
            said = re.search(rb'"(?:content|input)": ?"([a-z0-9._]+)"', request.body)
            self.requests[said[1].decode() if said else "openai.models"].append(request)

    def got(self, name: str) -> list[Any]:
        return [line["got"] for line in self.lines[name] if "got" in line]

    def end(self, name: str) -> Any:
        """How a call ended: {"end": "ok"}, {"error": "…"}, or with a `got` where it did not."""
        return {k: v for k, v in (self.lines[name] or [{}])[-1].items() if k != "call"}


@dataclass
class Rounds:
    direct: Round
    recorded: Round
    replayed: Round
    recordings: Path
    connections: tuple[int, int]
    """How many the provider had accepted before and after the replay."""


@dataclass(frozen=True)
class Clients:
    """A program that makes the calls of some cases, in their order, when given their names."""

    program: Sequence[str | Path]
    cases: Mapping[str, Case]
    env: Mapping[str, str]
    direct_env: Callable[[Upstream], Mapping[str, str]]
    """What makes the program go to the provider by itself."""

    def ask(self, cwd: Path) -> Rounds:
        recordings = cwd / "recordings"
        direct = self._directly()
        with Upstream() as provider:
            args: list[str | Path] = ["-r", recordings, "--upstream-ca", provider.ca_file]
            for case in self.cases.values():
                args += ["--map", f"{case.host}={provider.url}/{case.place}"]
            recorded = self._through_record(provider, args, cwd)
            before = provider.connections
            replayed = self._through_replay(["-r", recordings], cwd)
            after = provider.connections
        return Rounds(direct, recorded, replayed, recordings, (before, after))

    def _script(self, provider: Upstream, gates: Gates) -> None:
        for case in self.cases.values():
            answer = replace(case.answer, gates=gates.get(case.name, {}))
            provider.script(f"/{case.place}{case.target}", answer)

    def _directly(self) -> Round:
        with Upstream() as provider:
            self._script(provider, {})
            env = {**self.env, **KEYS, **self.direct_env(provider)}
            found = _run([*self.program, *self.cases], env)
            found.sort(provider.requests)
        return found

    def _through_replay(self, args: Sequence[str | Path], cwd: Path) -> Round:
        report = cwd / "replay.json"
        found = _run(
            command("replay", *args, "--report", report, "--", *self.program, *self.cases),
            self.env,
            cwd,
        )
        found.report = json.loads(report.read_text())
        return found

    def _through_record(self, provider: Upstream, args: Sequence[str | Path], cwd: Path) -> Round:
        found = Round()
        gates = {
            case.name: {k: threading.Event() for k, shown in enumerate(case.shown) if k and shown}
            for case in self.cases.values()
        }
        self._script(provider, gates)
        report = cwd / "record.json"
        with (cwd / "stderr").open("w+") as errors:
            process = subprocess.Popen(
                command("record", *args, "--report", report, "--", *self.program, *self.cases),
                env={**self.env, **KEYS},
                cwd=cwd,
                stdout=subprocess.PIPE,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                text=True,
            )
            assert process.stdout is not None
            printed: Lines = queue.Queue()
            reader = threading.Thread(target=_pump, args=(process.stdout, printed))
            reader.start()
            try:
                if not self._open_gates(found, printed, gates):
                    process.terminate()
                found.status = process.wait(timeout=PATIENCE)
            finally:
                process.kill()
                reader.join()
                process.stdout.close()
            errors.seek(0)
            found.errors = errors.read()
        found.report = json.loads(report.read_text())
        found.sort(provider.requests)
        return found

    def _open_gates(self, found: Round, printed: Lines, gates: Gates) -> bool:
        """Open each gate when all that was sent before it has been shown, until nothing more is
        printed; False where the clients have come to a stop.
        """
        while True:
            try:
                text = printed.get(timeout=PATIENCE)
            except queue.Empty:
                stuck = next((n for n in self.cases if found.end(n).keys() <= {"got"}), None)
                if stuck is None or stuck in found.late:
                    return False
                found.late.add(stuck)
                # The client may have got another call's answer, and wait at one of its gates.
                for name, case in self.cases.items():
                    if case.place == self.cases[stuck].place:
                        for gate in gates[name].values():
                            gate.set()
                continue
            if text is None:
                return True
            name = found.read(text)
            shown = len(found.got(name))
            for number, gate in gates[name].items():
                if self.cases[name].shown[number] <= shown:
                    gate.set()


def _pump(lines: Iterable[str], printed: Lines) -> None:
    for text in lines:
        printed.put(text)
    printed.put(None)


def _run(program: Sequence[str | Path], env: Mapping[str, str], cwd: Path | None = None) -> Round:
    ran = subprocess.run(
        program,
        env=dict(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )
    found = Round(status=ran.returncode, errors=ran.stderr)
    for text in ran.stdout.splitlines():
        found.read(text)
    return found
