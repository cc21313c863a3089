"""`wiretape demo`: the whole round with no key and no network, through the commands a user has."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from wiretape.core.errors import WiretapeError
from wiretape.resources import shipped_recordings
from wiretape.tls.authority import Authority

PROMPTS: Final = ("What is the name of the US captial?", "Hello, world!")
"""What the shipped recordings answer, spelled as it was asked."""

LIVE_PROMPT: Final = "Tell me what a wiretape is."


def run_demo(*, fast: bool = False) -> int:
    """Replay the shipped recordings, then record a local provider and replay it; exit status."""
    with tempfile.TemporaryDirectory(prefix="wiretape-demo-") as name:
        folder = Path(name)
        _say("1. Replay: what llama-stack recorded from Together, with no network and no key.")
        for prompt in PROMPTS:
            pace = "instant" if fast else "recorded"
            command = ["replay", "-q", "--pace", pace, "-r", str(shipped_recordings())]
            print(f"   > {prompt}\n   ", end="", flush=True)
            _wiretape(command, _client(prompt), folder)
        return _round(folder, fast=fast)


def _round(folder: Path, *, fast: bool) -> int:
    from .local_provider import LocalProvider

    _say("2. Record: a provider on this machine, over HTTPS; the client has a key.")
    authority = Authority.load_or_create(folder / "provider-ca")
    recordings, live, replayed = folder / "recordings", folder / "live", folder / "replayed"
    key = {"TOGETHER_API_KEY": "tgp_v1_" + "demo-key-that-is-redacted-" + "0123456789abcdefg"}
    with LocalProvider.in_thread(
        authority.context("127.0.0.1"), token_delay=0.0 if fast else 0.02
    ) as provider:
        command = ["record", "-r", str(recordings), "--upstream-ca", str(authority.cert_path)]
        command += ["--map", f"api.together.xyz={provider.url}"]
        _wiretape(command, _client(LIVE_PROMPT, live), folder, key)
    written = sorted(recordings.rglob("*.json"))
    if len(written) != 1:
        raise WiretapeError(f"the demo recorded {len(written)} exchanges, expected 1")
    _say(f"   It wrote {written[0].relative_to(folder)}, fit for git:")
    _show(written[0].read_text(), key["TOGETHER_API_KEY"])
    _say("3. Replay it: the provider is stopped, the key is gone.")
    _wiretape(
        ["replay", "-r", str(recordings)], _client(LIVE_PROMPT, replayed), folder, is_at_once=True
    )
    if live.read_bytes() != replayed.read_bytes():
        raise WiretapeError("the replayed bytes differ from the recorded ones")
    _say(f"   The {live.stat().st_size} bytes the client got are equal.")
    _say("Now with your own program:  wiretape record -- CMD   then   wiretape replay -- CMD")
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


def _show(text: str, key: str) -> None:
    if key in text:
        raise WiretapeError("the key stands in the recording")
    width = shutil.get_terminal_size((100, 24)).columns - 4
    lines = text.splitlines()
    shown = [*lines[:20], f"      … {len(lines) - 24} more lines …", *lines[-4:]]
    for line in shown if len(lines) > 26 else lines:
        print("   " + (line if len(line) <= width else line[: width - 1] + "…"))


def _client(prompt: str, save_to: Path | None = None) -> list[str]:
    saved = [str(save_to)] if save_to else []
    return [sys.executable, "-m", "wiretape.demo.client", prompt, *saved]


def _wiretape(
    command: Sequence[str],
    client: Sequence[str],
    folder: Path,
    environ: Mapping[str, str] | None = None,
    *,
    is_at_once: bool = False,
) -> None:
    # The demo is to work on the shipped configuration, with no real key in sight.
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")}
    done = subprocess.run(
        [sys.executable, "-m", "wiretape", *command, "--", *client],
        env={**clean, "CI": "", **(environ or {})},
        cwd=folder,
        check=False,
        # An answer that comes at once would stand within what wiretape says of it.
        stdout=subprocess.PIPE if is_at_once else None,
        text=True,
    )
    if is_at_once:
        _say(done.stdout.rstrip("\n"))
    if done.returncode != 0:
        raise WiretapeError(f"`wiretape {command[0]}` exited with {done.returncode}")
