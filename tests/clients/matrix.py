"""Drives real clients through `record`, then `replay` on what looks like another machine.

A client asks a provider on 127.0.0.1, in a home that it has used before: once with a prompt and,
where it has tools, once with one that makes the model call a tool. Then the same is asked of the
recordings, offline, and each time the answer has to be the recorded one:

    R1  a new home
    R2  a new home and a new folder, with another state of git
    R3  the same nine days later
    used home  that of the recording again

Another prompt has to miss, and its miss has to be shown by the client.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.commands import command
from tests.support.limits import PATIENCE
from tests.support.npm import NODE

from .agents import Client
from .mock_provider import fixtures, mock_provider

PROMPT, TOOL_PROMPT = "Say a word on otters", "Read what the file of badgers says"
OTHER_PROMPT: Final = "Say a word on llamas"
ANSWER, TOOL_ANSWER = "Otters hold hands: café 日本語.", "Badgers dig, says the file."
MISS: Final = "no recording answers"
HOSTS: Final = (
    *("api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com"),
    *("api.together.ai", "api-inference.together.ai", "api.together.xyz"),
    *("api.groq.com", "api.mistral.ai", "api.cohere.com"),
)
KEYS: Final = {
    "ANTHROPIC_API_KEY": f"sk-ant-api03-{'x' * 93}AA",
    "CODEX_API_KEY": "sk-test1234567890abcdefghijkl",
    "OPENAI_API_KEY": "sk-test1234567890abcdefghijkl",
    "GEMINI_API_KEY": f"AIza{'x' * 35}",
    "TOGETHER_API_KEY": f"tgp_v1_{'x' * 43}",
    "MISTRAL_API_KEY": "x" * 32,
    "CO_API_KEY": "x" * 40,
}
FAKETIME: Final = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
LATER: Final = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+9d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
EMULATOR: Final = "/usr/bin/qemu-x86_64"


@dataclass(frozen=True)
class Run:
    """What one run of wiretape around a client brought."""

    status: int
    output: str
    """What the client printed."""
    errors: str
    """What wiretape printed."""
    counts: Mapping[str, int]

    def verdict(self, answer: str) -> str:
        """Give "same" where the client got the recorded answer with no miss, else the fault."""
        if missed := self.counts.get("missed"):
            return f"{missed} missed"
        if answer not in self.output:
            return "no answer"
        return "same" if self.status == 0 else f"exit {self.status}"

    def shown(self) -> str:
        """Give "shown" where another prompt missed and the client says so, else the fault."""
        if not self.counts.get("missed"):
            return "no miss"
        if ANSWER in self.output or TOOL_ANSWER in self.output:
            return "answered"
        if self.status == 0:
            return "exit 0"
        return "shown" if MISS in self.output else "hidden"


@dataclass(kw_only=True)
class Bench:
    """One client with the homes and folders that it works in, each new."""

    client: Client
    installed: Path
    place: Path
    environ: Mapping[str, str]
    provider: str
    _count: int = 0

    def home(self) -> Path:
        return self._new("home")

    def folder(self) -> Path:
        """A folder with the same files, in git, in another state than any other."""
        folder = self._new("folder")
        (folder / "README.md").write_text("Badgers dig.\n")
        (folder / "notes.txt").touch()
        git = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.com"]
        branch = f"work-{self._count}"
        for args in (["init", "-q", "-b", branch], ["add", "."], ["commit", "-qm", branch]):
            subprocess.run([*git, *args], cwd=folder, check=True, stdin=subprocess.DEVNULL)
        (folder / "notes.txt").write_text(branch)
        return folder

    def _new(self, kind: str) -> Path:
        self._count += 1
        path = self.place / f"{kind}-{self._count}"
        path.mkdir(parents=True)
        return path

    def run(self, mode: str, prompt: str, home: Path, folder: Path, *, later: bool = False) -> Run:
        """Run the client with a prompt in wiretape."""
        self._count += 1
        printed, report = (self.place / f"{self._count}.{kind}" for kind in ("txt", "json"))
        options: list[str | Path] = ["-r", self.place / "recordings", "--report", report]
        if mode == "record":
            for host in HOSTS:
                options += ["--map", f"{host}={self.provider}"]
        quiet: tuple[str | Path, ...] = ("sh", "-c", 'exec "$@" >"$0" 2>&1', printed)
        ran = subprocess.run(
            command(mode, *options, "--", *quiet, *self._command(prompt, later=later)),
            env={**self._environment(home), **(LATER if later else {})},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
        (self.place / f"{self._count}.err").write_text(ran.stderr)
        output = printed.read_text(errors="replace") if printed.exists() else ""
        counts = json.loads(report.read_text())["counts"] if report.exists() else {}
        return Run(ran.returncode, output, ran.stderr, counts)

    def use(self, home: Path, folder: Path) -> None:
        """Run the client in a home once, and throw away what was recorded."""
        self.run("record", PROMPT, home, folder)
        shutil.rmtree(self.place / "recordings", ignore_errors=True)

    def _command(self, prompt: str, *, later: bool) -> Iterator[str]:
        words = list(self.client.command)
        if later and self.client.binary:
            yield EMULATOR
            words[0] = self.client.binary
        for word in words:
            yield self._filled(word, prompt)

    def _environment(self, home: Path) -> dict[str, str]:
        own = {name: self._filled(value, "") for name, value in self.client.env.items()}
        path = os.pathsep.join([str(NODE.parent), self.environ["PATH"]])
        return {**self.environ, **KEYS, **own, "HOME": str(home), "PATH": path}

    def _filled(self, word: str, prompt: str) -> str:
        places = {"{bin}": self._bin, "{root}": self.installed, "{prompt}": prompt}
        for name, value in places.items():
            word = word.replace(name, str(value))
        return word

    @property
    def _bin(self) -> Path:
        node = self.installed / "node_modules" / ".bin"
        return node if node.is_dir() else self.installed / "bin"


ROUNDS: Final = ("R1", "R2", "R3", "used home", "other prompt")


def drive(
    bench: Bench, rounds: Sequence[str] = ROUNDS, *, in_short: bool = False
) -> dict[str, str]:
    """Record a client, then replay it as each of `rounds` says: a verdict for each, by name.

    `in_short`, it asks the last prompt alone, in a home that it has not used before.
    """
    home, folder = bench.home(), bench.folder()
    prompts = {PROMPT: ANSWER, **({TOOL_PROMPT: TOOL_ANSWER} if bench.client.tool else {})}
    last = dict([list(prompts.items())[-1]])
    if in_short:
        prompts = last
    else:
        bench.use(home, folder)

    def replayed(home: Path, folder: Path, asked: Mapping[str, str], *, later: bool = False) -> str:
        return _worst(
            bench.run("replay", prompt, home, folder, later=later).verdict(answer)
            for prompt, answer in asked.items()
        )

    def nine_days_later() -> str:
        if clock_of(bench.client) is None:
            return "not run"
        return replayed(bench.home(), bench.folder(), last, later=True)

    how: dict[str, Callable[[], str]] = {
        "R1": lambda: replayed(bench.home(), folder, prompts),
        "R2": lambda: replayed(bench.home(), bench.folder(), last),
        "R3": nine_days_later,
        "used home": lambda: replayed(home, folder, last),
        "other prompt": lambda: bench.run(
            "replay", OTHER_PROMPT, bench.home(), bench.folder()
        ).shown(),
    }
    recorded = _worst(
        bench.run("record", prompt, home, folder).verdict(answer)
        for prompt, answer in prompts.items()
    )
    return {"recorded": recorded, **{name: how[name]() for name in rounds}}


def _worst(verdicts: Iterator[str]) -> str:
    """The one verdict of several runs: the faults, if there are any."""
    texts = dict.fromkeys(verdicts)
    return "; ".join(text for text in texts if text != "same") or "same"


def clock_of(client: Client) -> str | None:
    """What moves the clock of a client; None where it is not installed here."""
    if not Path(FAKETIME).exists() or (client.binary and not Path(EMULATOR).exists()):
        return None
    return "libfaketime, in qemu" if client.binary else "libfaketime"


def results_of(
    client: Client,
    installed: Path,
    provider: Path,
    place: Path,
    environ: Mapping[str, str],
    rounds: Sequence[str] = ROUNDS,
    *,
    in_short: bool = False,
) -> dict[str, str]:
    """Drive a client that is installed; aimock is among the npm packages in `provider`."""
    said = fixtures({PROMPT: ANSWER, TOOL_PROMPT: TOOL_ANSWER}, {TOOL_PROMPT: client.tool})
    with mock_provider(NODE, provider, place / "provider", said) as url:
        bench = Bench(
            client=client, installed=installed, place=place, environ=environ, provider=url
        )
        return drive(bench, rounds, in_short=in_short)
